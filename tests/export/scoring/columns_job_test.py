"""Columns on request: the most probable labels only, and embeddings."""

import dataclasses
import json

import numpy as np
import pytest
from pyarrow import csv, parquet

from export.scoring.config import ScoringConfig
from export.scoring.engine.assembly import merge
from export.scoring.job import score
from tests.export.onnx_models import LABELS, write_channel_mean_model
from tests.export.scoring.small_jobs import write_list

FORMATS = ("scores.parquet", "scores.csv", "scores.jsonl")


@pytest.fixture
def model(tmp_path):
    return write_channel_mean_model(tmp_path / "model.onnx", embeddings=True)


def run(model, images, output, **settings):
    config = ScoringConfig(
        model=str(model), images=str(images), output=str(output), batch_size=2, **settings
    )
    score(config)
    return read(output)


def read(path):
    """Rows as dictionaries, with lists for what CSV has as JSON."""
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    rows = csv.read_csv(path).to_pylist()
    for row in rows:
        for name in {"top", "embedding"} & set(row):
            row[name] = json.loads(row[name]) if row[name] else None
        row["decisions"] = row["decisions"].split("|") if row["decisions"] else []
    return rows


@pytest.mark.parametrize("name", FORMATS)
def test_the_most_probable_labels_stand_for_all(model, tmp_path, name):
    images = write_list(tmp_path, 2)
    whole = run(model, images, tmp_path / "whole.jsonl")
    for row, full in zip(run(model, images, tmp_path / name, top_k=2), whole, strict=True):
        assert set(row) == {"image", "status", "error", "top", "decisions"}
        if full["status"] != "ok":
            assert row["top"] is None
            continue
        best = sorted(LABELS, key=lambda label: -full[label])[:2]
        assert [entry["label"] for entry in row["top"]] == best
        values = [np.float32(entry["probability"]) for entry in row["top"]]
        assert values == [np.float32(full[label]) for label in best]
        assert row["decisions"] == full["decisions"]


def test_more_labels_than_there_are_is_all_of_them(model, tmp_path):
    rows = run(model, write_list(tmp_path, 1), tmp_path / "scores.jsonl", top_k=99)
    assert len(rows[0]["top"]) == 3


@pytest.mark.parametrize("name", FORMATS)
def test_embeddings_are_the_networks_features(model, tmp_path, name):
    rows = run(model, write_list(tmp_path, 2), tmp_path / name, embeddings=True)
    for row in rows:
        if row["status"] != "ok":
            assert row["embedding"] is None
            continue
        # The network's logits are its features, moved and scaled.
        logits = (np.array(row["embedding"]) - 128.0) / 32.0
        probabilities = [row[label] for label in LABELS]
        np.testing.assert_allclose(1.0 / (1.0 + np.exp(-logits)), probabilities, atol=1e-6)


def test_a_batch_without_images_has_no_embeddings(model, tmp_path):
    (tmp_path / "list.txt").write_text("gone.png\n" * 3)
    rows = run(model, tmp_path / "list.txt", tmp_path / "scores.parquet", embeddings=True)
    assert [row["embedding"] for row in rows] == [None] * 3


@pytest.mark.parametrize("name", FORMATS)
def test_shards_join_to_the_whole_job(model, tmp_path, name):
    images, settings = write_list(tmp_path, 3), {"top_k": 2, "embeddings": True}
    run(model, images, tmp_path / f"whole_{name}", **settings)
    for shard in ("1/2", "2/2"):
        config = ScoringConfig(model=str(model), images=images, output=str(tmp_path / name))
        score(dataclasses.replace(config, batch_size=2, shard=shard, **settings))
    merge(str(tmp_path / name))
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole_{name}").read_bytes()


def test_a_model_without_embeddings_is_refused(tmp_path):
    model = write_channel_mean_model(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="no output of embeddings.*export_model.py --embeddings"):
        run(model, write_list(tmp_path, 1), tmp_path / "scores.csv", embeddings=True)


@pytest.mark.parametrize(
    "settings, message",
    [({"top_k": -1}, "top_k must be at least 0"), ({"top_k": 1, "logits": True}, "--logits")],
)
def test_columns_that_exclude_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ScoringConfig(model="m", images="i", output="o.csv", **settings)

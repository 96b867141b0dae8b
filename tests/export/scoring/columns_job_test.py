"""Columns on request: the most probable labels only, and embeddings."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
from pyarrow import csv, parquet

from export.scoring.config import ScoringConfig
from export.scoring.engine.assembly import merge
from export.scoring.job import score
from export.scoring.output.rows import Columns
from tests.export.onnx_models import LABELS, description, write_channel_mean_model
from tests.export.scoring.small_jobs import save_colour, write_list
from vac_tf.analysis.scored_file import read_scored_file

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


@pytest.mark.parametrize("name", FORMATS)
def test_an_embedding_that_is_not_finite_is_a_row_that_says_so(model, tmp_path, name):
    network = onnx.load(model)
    (node,) = (node for node in network.graph.node if node.output[0] == "embeddings")
    node.op_type, node.input[0] = "Log", "centred"  # Of dark images it is not a number.
    onnx.save(network, model)
    (tmp_path / "photos").mkdir()
    save_colour(tmp_path / "photos/bright.png", 200, 210, 220)
    save_colour(tmp_path / "photos/dark.png", 10, 210, 220)
    bright, dark = run(model, tmp_path / "photos", tmp_path / name, embeddings=True)
    assert np.isfinite(bright["embedding"]).all() and bright["status"] == "ok"
    assert dark["status"] == "not_finite" and dark["embedding"] is None
    assert dark["error"] == "The network's embeddings are not finite."


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


@pytest.fixture
def viewing(tmp_path):
    """A model that averages views."""
    described = dataclasses.replace(description(), tta=("hflip", "scale:16"))
    return write_channel_mean_model(tmp_path / "views.onnx", described, embeddings=True)


@pytest.mark.parametrize("name", FORMATS)
def test_a_model_of_views_says_how_stable_each_probability_is(viewing, model, tmp_path, name):
    images = write_list(tmp_path, 2)
    plain = run(model, images, tmp_path / f"plain_{name}", logits=True, embeddings=True)
    rows = run(viewing, images, tmp_path / name, logits=True, embeddings=True)
    columns = [f"stability:{label}" for label in LABELS]
    assert list(rows[0]) == [*list(plain[0])[:-1], *columns, "embedding"]
    for row, without in zip(rows, plain, strict=True):
        assert {key: row[key] for key in without} == without
        for label, column in zip(LABELS, columns, strict=True):
            if row["status"] != "ok":
                assert row[column] is None
                continue
            # As many digits as a probability has: the shortest of the float32.
            expected = np.float32(1) - np.float32(row[label]) * np.float32(0.5)
            assert np.float32(row[column]) == expected


@pytest.mark.parametrize("name", FORMATS)
def test_the_most_probable_labels_have_their_stability(viewing, tmp_path, name):
    rows = run(viewing, write_list(tmp_path, 2), tmp_path / name, top_k=2)
    assert "top" in rows[0] and not any(column.startswith("stability") for column in rows[0])
    for entry in (entry for row in rows for entry in row["top"] or []):
        expected = np.float32(1) - np.float32(entry["probability"]) * np.float32(0.5)
        assert list(entry) == ["label", "probability", "stability"]
        assert np.float32(entry["stability"]) == expected


def test_a_batch_without_images_has_no_stability(viewing, tmp_path):
    (tmp_path / "list.txt").write_text("gone.png\n" * 3)
    rows = run(viewing, tmp_path / "list.txt", tmp_path / "scores.parquet")
    assert [row["stability:red"] for row in rows] == [None] * 3


@pytest.mark.parametrize("name", FORMATS)
def test_shards_and_retried_rows_of_views_join_to_the_whole_job(viewing, tmp_path, name):
    images = write_list(tmp_path, 3)
    run(viewing, images, tmp_path / f"whole_{name}")
    config = ScoringConfig(model=viewing, images=images, output=str(tmp_path / name), batch_size=2)
    for shard in ("1/2", "2/2"):
        score(dataclasses.replace(config, shard=shard))
    merge(str(tmp_path / name))
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole_{name}").read_bytes()
    score(dataclasses.replace(config, retry_errors="missing"))
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole_{name}").read_bytes()


def test_a_job_without_views_has_the_record_that_earlier_versions_wrote(model, tmp_path):
    run(model, write_list(tmp_path, 1), tmp_path / "scores.csv")
    manifest = (tmp_path / "scores.csv.manifest.json").read_text()
    assert "stability" not in manifest and "embedding_size" in manifest


def test_a_label_may_have_the_name_of_a_stability():
    columns = Columns(("a", "stability:a"), has_stability=True)
    assert columns.stability == ("stability:stability:a", "stability:stability:stability:a")
    assert len(set(columns.all)) == len(columns.all)


def test_scored_views_are_read_by_the_analysis(viewing, tmp_path):
    write_list(tmp_path, 1)
    (tmp_path / "one.txt").write_text("photos/0.png\n")
    run(viewing, tmp_path / "one.txt", tmp_path / "scores.csv")
    rows = read_scored_file(str(tmp_path / "scores.csv"), [str(tmp_path / "photos/0.png")], LABELS)
    assert np.isfinite(rows.probabilities).all()


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

"""The drift of scoring jobs: what they report, write and end with."""

import dataclasses
import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from export.bundle.score_histograms import ScoreHistograms, count_bins
from export.scoring.command import DRIFTED, run_command
from export.scoring.config import ScoringConfig
from export.scoring.drift.job_drift import drift_file
from export.scoring.engine.finished_output import manifest_file, read_manifest
from export.scoring.streaming import stream
from tests.export.onnx_models import LABELS, description, write_channel_mean_model
from tests.export.scoring.small_jobs import dying_at_row

IMAGES = 80


def pictures(folder, seed, shift=0, count=IMAGES):
    """A folder of pictures of one colour each."""
    folder.mkdir()
    colours = np.random.default_rng(seed).normal(128 + shift, 40, (count, 3)).clip(0, 255)
    for number, colour in enumerate(colours.astype("uint8")):
        Image.new("RGB", (4, 4), tuple(colour.tolist())).save(folder / f"{number:03}.png")
    return str(folder)


@pytest.fixture
def model(tmp_path):
    """A network whose reference is that of such pictures, unshifted."""
    means = np.random.default_rng(9).normal(128, 40, (400, 3)).clip(0, 255).astype(int)
    probabilities = 1.0 / (1.0 + np.exp((128.0 - means) / 32.0))
    reference = ScoreHistograms.from_array(LABELS, count_bins(probabilities.astype(np.float32)))
    described = dataclasses.replace(description(), reference=reference)
    return write_channel_mean_model(tmp_path / "model.onnx", described)


@pytest.fixture
def bare_model(tmp_path):
    return write_channel_mean_model(tmp_path / "bare.onnx")


@pytest.fixture
def job(tmp_path, model):
    images = pictures(tmp_path / "photos", 1)
    return {"model": model, "images": images, "decoders": 1, "output": str(tmp_path / "s.csv")}


def run(job, **changes):
    return run_command(ScoringConfig(**(job | changes)))


def read_drift(output):
    with open(drift_file(output), encoding="utf-8") as file:
        return json.load(file)


def test_pictures_like_those_of_the_reference_are_no_drift_and_darker_ones_are(job, tmp_path):
    text, code = run(job, max_drift=0.1)
    assert code == 0 and f"Drift of {IMAGES} images from 400 of the reference: PSI" in text
    like = read_drift(job["output"])
    assert not like["is_too_large"] and list(like["labels"]) == list(LABELS)

    darker = pictures(tmp_path / "dark", 2, shift=-60)
    output, metrics = str(tmp_path / "dark.parquet"), tmp_path / "metrics.prom"
    text, code = run(job, images=darker, output=output, max_drift=0.1, metrics_file=str(metrics))
    drift = read_drift(output)
    assert code == DRIFTED and "above --max_drift=0.1" in text and "3 of 3 labels" in text
    assert drift["is_too_large"] and drift["overall"]["psi"] > 10 * like["overall"]["psi"]
    lines = dict(
        line.rsplit(" ", 1) for line in metrics.read_text().splitlines() if not line.startswith("#")
    )
    assert float(lines["vac_scoring_drift_psi"]) == pytest.approx(drift["overall"]["psi"], abs=1e-5)
    assert float(lines['vac_scoring_label_drift_js{label="red"}']) == pytest.approx(
        drift["labels"]["red"]["js"], abs=1e-5
    )
    assert lines["vac_scoring_drift_is_too_large"] == "1.0"
    # Found finished: it says the same. Without the limit it is only told.
    assert run(job, images=darker, output=output, max_drift=0.1)[1] == DRIFTED
    assert run(job, images=darker, output=output)[1] == 0


def test_the_drift_does_not_depend_on_how_the_job_came_through(job, tmp_path, monkeypatch):
    run(job)
    expected = read_drift(job["output"])
    with dying_at_row(monkeypatch, 60):
        run(job, output=str(tmp_path / "killed.jsonl"), batch_size=8, rows_per_part=16)
    run(job, output=str(tmp_path / "killed.jsonl"), batch_size=8, rows_per_part=16)
    assert read_drift(tmp_path / "killed.jsonl") == expected

    shards = job | {"output": str(tmp_path / "shards.csv")}
    for shard in ("1/2", "2/2"):
        run(shards, shard=shard)
    other = write_channel_mean_model(tmp_path / "other.onnx", description(("cat", "dog", "cow")))
    with pytest.raises(ValueError, match="other.onnx.* is not the model that scored .*shards.csv"):
        run_command(ScoringConfig(merge=True, output=shards["output"], model=other))
    assert not os.path.exists(shards["output"])
    text, code = run_command(
        ScoringConfig(merge=True, output=shards["output"], model=job["model"], max_drift=9.0)
    )
    assert code == 0 and "Drift of 80 images" in text
    assert read_drift(shards["output"]) == expected | {"max_drift": 9.0}

    stdout = io.BytesIO()
    report = stream(ScoringConfig(**(job | {"output": "-"})), stdout)
    assert report.drift.to_json() == expected
    run(job, output=str(tmp_path / "top.csv"), top_k=1)
    assert read_drift(tmp_path / "top.csv") == expected


def test_rows_that_are_scored_again_count_once(job, tmp_path):
    path = tmp_path / "photos/007.png"
    whole, data = read_drift_of(job, tmp_path / "whole.csv"), path.read_bytes()
    path.write_bytes(b"no image")
    assert read_drift_of(job, job["output"])["images"] == IMAGES - 1
    assert run(job, retry_errors="all")[0].count("Drift of 79") == 1
    path.write_bytes(data)
    run(job, retry_errors="all")
    assert read_drift(job["output"]) == whole


def read_drift_of(job, output):
    run(job, output=str(output))
    return read_drift(output)


def test_a_model_without_reference_says_how_to_get_one(job, bare_model, tmp_path, caplog):
    caplog.set_level("INFO")
    (tmp_path / "s.csv.drift.json").write_text("of an output that was replaced")
    text, code = run(job, model=bare_model)
    assert code == 0 and "Drift" not in text and not (tmp_path / "s.csv.drift.json").exists()
    assert "No drift is measured: " in caplog.text and "Export the run again" in caplog.text
    with pytest.raises(
        ValueError, match="--max_drift needs one: .*--reference_images.*--drift_ref"
    ):
        run(job, model=bare_model, max_drift=0.1, output=str(tmp_path / "t.csv"))


def test_an_earlier_output_is_a_reference(job, bare_model, tmp_path, caplog):
    bare = job | {"model": bare_model}
    run(bare)
    darker = bare | {"images": pictures(tmp_path / "dark", 2, shift=-60)}
    options = {"output": str(tmp_path / "t.csv"), "max_drift": 0.1}
    options["drift_reference"] = job["output"]
    assert run(darker, **options)[1] == DRIFTED and "another model" not in caplog.text
    like = bare | {"images": pictures(tmp_path / "like", 3)}
    assert run(like, **options | {"output": str(tmp_path / "u.csv")})[1] == 0
    run(like, **options | {"output": str(tmp_path / "v.csv"), "model": job["model"]})
    assert "was scored by another model" in caplog.text


def test_a_reference_of_other_labels_is_named_before_the_start(job, tmp_path, loaded):
    other = write_channel_mean_model(tmp_path / "other.onnx", description(("red", "pink", "blue")))
    run(job, model=other, output=str(tmp_path / "other.csv"))
    loaded.clear()
    with pytest.raises(
        ValueError, match="other.csv' does not fit .* missing are 'green', not expected 'pink'"
    ):
        run(job, drift_reference=str(tmp_path / "other.csv"))
    assert not loaded


@pytest.mark.parametrize("harm", ["missing", "older", "damaged"])
def test_a_reference_that_is_no_output_is_named(job, tmp_path, harm):
    reference = str(tmp_path / "r.csv")
    run(job, output=reference)
    manifest = manifest_file(reference)
    with open(manifest, encoding="utf-8") as file:
        values = json.load(file)
    if harm == "missing":
        reference = str(tmp_path / "none.csv")
    elif harm == "older":
        del values["scores"]
    else:
        values["scores"]["counts"] = "x"
    with open(manifest, "w", encoding="utf-8") as file:
        json.dump(values, file)
    with pytest.raises(ValueError, match="csv' is no output of score.py .*Name one"):
        run(job, drift_reference=reference)


def test_an_output_of_an_earlier_version_has_no_drift(job):
    run(job)
    path = manifest_file(job["output"])
    with open(path, encoding="utf-8") as file:
        values = json.load(file)
    del values["scores"]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(values, file)
    text, code = run(job)
    assert code == 0 and "Drift" not in text and read_manifest(job["output"]).scores is None
    with pytest.raises(ValueError, match="begun by an earlier version.*--overwrite"):
        run(job, max_drift=0.1)


def test_without_any_scores_there_is_no_drift(job, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/a.png").write_bytes(b"no image")
    text, code = run(job, images=str(tmp_path / "empty"), max_drift=0.1)
    assert code == 0 and "Drift" not in text
    assert run(job, images=str(tmp_path / "empty"), max_drift=0.1, strict=True)[1] == 1


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"max_drift": -0.1}, "max_drift must be at least 0, got -0.1"),
        ({"max_drift": 0.1, "shard": "1/2"}, "does not go with --shard.*--merge, with --model"),
        ({"max_drift": 0.1, "engine": "ray"}, "--max_drift does not go with --engine=ray"),
        ({"drift_reference": "r", "benchmark": True}, "--drift_reference .* with --benchmark"),
        ({"max_drift": 0.1, "merge": True, "model": ""}, "--merge with --max_drift needs --model"),
    ],
)
def test_flags_that_exclude_each_other_are_refused(changes, message):
    flags = {"model": "m", "images": "i", "output": "o.csv"} | changes
    with pytest.raises(ValueError, match=message):
        ScoringConfig(**flags)

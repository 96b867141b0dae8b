"""Jobs whose output is there already: repeated, refused or, on request, replaced."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from export.scoring.config import ScoringConfig
from export.scoring.engine import batch
from export.scoring.job import score
from tests.export.onnx_models import write_channel_mean_model


@pytest.fixture
def job(tmp_path):
    """Flags of a job of 12 rows, 4 of them without an image."""
    (tmp_path / "photos").mkdir()
    generator = np.random.default_rng(0)
    lines = []
    for number in range(4):
        pixels = generator.integers(0, 256, (9, 7, 3), "uint8")
        Image.fromarray(pixels).save(tmp_path / f"photos/{number}.png")
        lines += [f"photos/{number}.png\n", f"photos/gone {number}.png\n", "photos/0.png\n"]
    (tmp_path / "list.txt").write_text("".join(lines))
    model = write_channel_mean_model(tmp_path / "model.onnx")
    return {"model": model, "images": str(tmp_path / "list.txt"), "batch_size": 4}


def run(job, output, **changes):
    return score(ScoringConfig(**(job | {"output": str(output)} | changes)))


@pytest.fixture
def loaded(monkeypatch):
    """Inputs that were loaded since the test began."""
    original, inputs = batch.load_view, []

    def load_view(scoring_input, *arguments):
        inputs.append(scoring_input.image)
        return original(scoring_input, *arguments)

    monkeypatch.setattr(batch, "load_view", load_view)
    return inputs


@pytest.mark.xfail(strict=True, reason="a finished job that is repeated scores everything again")
@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv", "scores.jsonl"])
def test_a_finished_job_that_is_repeated_scores_nothing_and_says_so(job, tmp_path, loaded, name):
    run(job, tmp_path / name)
    before = (tmp_path / name).stat()
    loaded.clear()
    report = run(job, tmp_path / name)
    assert not loaded and dict(report.counts) == {"ok": 8, "missing": 4}
    assert str(report).startswith("Nothing to score: all 12 images were scored before")
    assert str(report).endswith("ok: 8, missing: 4; errors: 4")
    after = (tmp_path / name).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert not Path(f"{tmp_path / name}.parts").exists()


@pytest.mark.xfail(strict=True, reason="a file of somebody else is replaced in silence")
def test_a_file_that_no_job_wrote_is_not_replaced(job, tmp_path):
    (tmp_path / "scores.csv").write_text("precious")
    with pytest.raises(ValueError, match="scores.csv' exists .*--overwrite"):
        run(job, tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text() == "precious"


@pytest.mark.xfail(strict=True, reason="the scores of another job are replaced in silence")
def test_the_output_of_another_job_is_not_replaced(job, tmp_path):
    run(job, tmp_path / "scores.csv")
    before = (tmp_path / "scores.csv").read_bytes()
    with pytest.raises(ValueError, match=r"another job: thresholds was \[0.5, .*--overwrite"):
        run(job, tmp_path / "scores.csv", threshold=0.25)
    assert (tmp_path / "scores.csv").read_bytes() == before


@pytest.mark.xfail(strict=True, reason="a folder of pictures of somebody else is removed")
def test_a_folder_that_no_job_wrote_is_not_removed(job, tmp_path):
    (tmp_path / "scores.csv.heatmaps").mkdir()
    (tmp_path / "scores.csv.heatmaps/holiday.png").write_bytes(b"precious")
    with pytest.raises(ValueError, match="scores.csv.heatmaps' exists .*--overwrite"):
        run(job, tmp_path / "scores.csv", heatmaps="maps")
    assert (tmp_path / "scores.csv.heatmaps/holiday.png").exists()

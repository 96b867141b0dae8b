"""Rows of a finished output that are scored again because they have no scores."""

import numpy as np
import pytest
from absl import flags as absl_flags
from PIL import Image

from export.scoring.command import run_command
from export.scoring.engine import batch
from flags import scoring
from tests.export.onnx_models import write_channel_mean_model

FORMATS = ("scores.parquet", "scores.csv", "scores.jsonl")


def save(folder, number):
    pixels = np.random.default_rng(number).integers(0, 256, (9, 7, 3), "uint8")
    Image.fromarray(pixels).save(folder / f'photos/"{number}",\n.png')


@pytest.fixture
def job(tmp_path):
    """Flags of a job of 40 rows, with names that CSV has to quote; every third file is there."""
    (tmp_path / "photos").mkdir()
    names = [f'photos/"{number}",\n.png' for number in range(40)]
    for number in range(0, 40, 3):
        save(tmp_path, number)
    for number in range(4, 8):
        (tmp_path / names[number]).write_text("no image")
    quoted = ['"' + name.replace('"', '""') + '"\n' for name in names]
    (tmp_path / "list.csv").write_text("image\n" + "".join(quoted))
    model = write_channel_mean_model(tmp_path / "model.onnx")
    images = str(tmp_path / "list.csv")
    return {"model": model, "images": images, "batch_size": 4, "max_error_share": 1.0}


def run(job, output, **changes):
    """What score.py prints with these flags."""
    values = absl_flags.FlagValues()
    scoring.define(values)
    flags = job | {"output": output} | changes
    values(["score.py", *(f"--{name}={value}" for name, value in flags.items())])
    text, _ = run_command(scoring.to_config(values))
    return text


@pytest.mark.xfail(strict=True, reason="rows without scores cannot be scored again by themselves")
@pytest.mark.parametrize("name", FORMATS)
def test_just_the_rows_of_a_status_are_scored_again(job, tmp_path, monkeypatch, name):
    run(job, tmp_path / name, heatmaps="peaks")
    for number in range(8, 40):
        save(tmp_path, number)
    run(job, tmp_path / f"whole-{name}", heatmaps="peaks")
    original, loaded = batch.load_view, []

    def load_view(scoring_input, *arguments):
        loaded.append(scoring_input.image)
        return original(scoring_input, *arguments)

    monkeypatch.setattr(batch, "load_view", load_view)
    text = run(job, tmp_path / name, heatmaps="peaks", retry_errors="missing")
    assert text.startswith("40 images (23 of them again) in ")
    assert text.endswith("ok: 34, missing: 2, unreadable: 4; errors: 6")
    assert sorted(loaded) == sorted(
        f'photos/"{n}",\n.png' for n in range(40) if n % 3 and n not in range(4, 8)
    )
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole-{name}").read_bytes()

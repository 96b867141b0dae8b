"""Rows of a finished output that are scored again because they have no scores."""

import numpy as np
import pytest
from absl import flags as absl_flags
from PIL import Image

from export.scoring.command import run_command
from export.scoring.engine.assembly import merge
from export.scoring.output import parquet_writer
from flags import scoring
from tests.export.onnx_models import write_channel_mean_model
from tests.export.scoring.small_jobs import dying_at_row, dying_in_assembly

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


@pytest.mark.parametrize("name", FORMATS)
def test_just_the_rows_of_a_status_are_scored_again(job, tmp_path, loaded, name):
    run(job, tmp_path / name, heatmaps="peaks")
    for number in range(8, 40):
        save(tmp_path, number)
    run(job, tmp_path / f"whole-{name}", heatmaps="peaks")
    loaded.clear()
    text = run(job, tmp_path / name, heatmaps="peaks", retry_errors="missing")
    assert text.startswith("40 images (23 of them again) in ")
    assert text.endswith("ok: 34, missing: 2, unreadable: 4; errors: 6")
    assert sorted(loaded) == sorted(
        f'photos/"{n}",\n.png' for n in range(40) if n % 3 and n not in range(4, 8)
    )
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole-{name}").read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_a_retry_that_died_goes_on_and_spares_the_output(job, tmp_path, monkeypatch, name):
    job, output = job | {"rows_per_part": 4}, tmp_path / name
    run(job, output)
    before = output.read_bytes()
    for number in range(40):
        save(tmp_path, number)
    run(job, tmp_path / f"whole-{name}")
    with dying_at_row(monkeypatch, 19):
        run(job, output, retry_errors="all", decoders=1)
    assert output.read_bytes() == before
    with pytest.raises(ValueError, match="holds rows of --retry_errors and no shards"):
        merge(str(output))
    assert "of them before)" in run(job, output, retry_errors="all")
    assert output.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()
    assert run(job, output).startswith("Nothing to score: all 40 images were scored before")


@pytest.mark.parametrize("step", ["_add_heatmaps", "_remove_job_folder"])
def test_a_retry_that_died_while_the_output_appeared(job, tmp_path, monkeypatch, step):
    output = tmp_path / "scores.jsonl"
    run(job, output, heatmaps="maps", threshold=0.4)
    for number in range(40):
        save(tmp_path, number)
    run(job, tmp_path / "whole.jsonl", heatmaps="maps", threshold=0.4)
    flags = {"heatmaps": "maps", "threshold": 0.4, "retry_errors": "all"}
    with dying_in_assembly(monkeypatch, step):
        run(job, output, **flags)
    run(job, output, **flags)
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    pictures = [
        sorted(path.name for path in tmp_path.glob(f"{name}.jsonl.heatmaps/*/*.png"))
        for name in ("scores", "whole")
    ]
    assert pictures[0] == pictures[1] and len(pictures[0]) > 20
    text = run(job, output, **flags)
    assert text.startswith("Nothing to score: no row has a status of --retry_errors=all")
    assert text.endswith("ok: 40; errors: 0")
    assert not (tmp_path / "scores.jsonl.parts").exists()


def test_what_cannot_be_scored_again_is_refused(job, tmp_path):
    output = tmp_path / "scores.csv"
    with pytest.raises(ValueError, match="has no manifest of a finished job"):
        run(job, output, retry_errors="all")
    run(job, output)
    with pytest.raises(ValueError, match="another job: thresholds was .* flags as they were"):
        run(job, output, retry_errors="all", threshold=0.25)
    output.write_text(output.read_text() + "a note\n")
    with pytest.raises(ValueError, match="is not as this job wrote it"):
        run(job, output, retry_errors="all")


@pytest.mark.parametrize("value", ["ok", "missing,ok", "missing;unreadable", ","])
def test_statuses_must_be_some(job, tmp_path, value):
    with pytest.raises(ValueError, match="retry_errors must be statuses other than ok, or all"):
        run(job, tmp_path / "scores.csv", retry_errors=value)


def test_parquet_rows_are_replaced_across_row_groups(job, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_writer, "_MOST_ROWS_PER_GROUP", 7)
    output, job = tmp_path / "scores.parquet", job | {"rows_per_part": 4}
    run(job, output, logits=True)
    for number in range(8, 40):
        save(tmp_path, number)
    run(job, output, logits=True, retry_errors="missing")
    run(job, tmp_path / "whole.parquet", logits=True)
    assert output.read_bytes() == (tmp_path / "whole.parquet").read_bytes()

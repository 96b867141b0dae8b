"""Rows on the standard output."""

import io
import json
import subprocess
import sys

import pytest

from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.streaming import stream
from tests.export.scoring.small_jobs import write_list
from tools.python_imports import REPOSITORY


def config(model, images, output="-", **changes):
    return ScoringConfig(model=str(model), images=str(images), output=str(output), **changes)


def test_the_rows_have_the_bytes_of_a_file_whose_folder_is_made(model, tmp_path):
    images = write_list(tmp_path, 3)
    settings = {"batch_size": 4, "heatmaps": "peaks", "logits": True}
    file, path = io.BytesIO(), tmp_path / "new" / "folder" / "rows.jsonl"
    report = stream(config(model, images, **settings), file)
    assert score(config(model, images, path, **settings)).counts == report.counts
    assert file.getvalue() == path.read_bytes()
    assert dict(report.counts) == {"ok": 6, "missing": 3}


class Reader(io.BytesIO):
    """Goes away behind its first lines."""

    def write(self, data):
        if self.tell():
            raise BrokenPipeError
        return super().write(data)


def test_a_reader_that_goes_away_ends_the_job(model, tmp_path):
    reader = Reader()
    report = stream(config(model, write_list(tmp_path, 40), batch_size=1), reader)
    assert report.counts["ok"] <= 1 and len(reader.getvalue().splitlines()) == 1


def test_most_images_that_fail_end_the_job_without_a_word_on_parts(model, tmp_path):
    (tmp_path / "list.txt").write_text("".join(f"gone {number}.png\n" for number in range(200)))
    with pytest.raises(ValueError, match="Stopped: .*--max_error_share=1 goes") as error:
        stream(config(model, tmp_path / "list.txt"), io.BytesIO())
    assert "parts are kept" not in str(error.value)


@pytest.mark.parametrize(
    "flag, value",
    [("shard", "1/2"), ("overwrite", True), ("merge", True), ("describe", True)]
    + [("heatmaps", "overlays"), ("engine", "ray")],
)
def test_what_needs_a_file_is_refused(flag, value):
    with pytest.raises(ValueError, match=f"--output=- does not go with --{flag}"):
        config("m.onnx", "photos", **{flag: value})


def test_the_program_writes_nothing_but_rows_there(model, tmp_path):
    flags = [f"--model={model}", f"--images={write_list(tmp_path, 2)}", "--output=-"]
    command = [sys.executable, "score.py", *flags]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["status"] for row in rows] == ["ok", "missing", "ok"] * 2
    assert "-> standard output; ok: 4, missing: 2; errors: 2" in done.stderr

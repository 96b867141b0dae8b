"""Jobs that are killed, repeated, split over processes and joined again."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from export.bundle.model_file import hash_file
from export.scoring.config import ScoringConfig
from export.scoring.engine import shard_scorer
from export.scoring.engine.assembly import merge
from export.scoring.engine.finished_output import manifest_file
from export.scoring.engine.parts import open_shard
from export.scoring.engine.shard import Shard
from export.scoring.engine.shard_scorer import ShardScorer
from export.scoring.job import score
from export.scoring.output import parquet_writer
from tests.export.onnx_models import description, write_channel_mean_model
from tests.export.scoring.small_jobs import dying_at_row, write_list
from tools.python_imports import REPOSITORY

ROOT = REPOSITORY
FORMATS = ("scores.parquet", "scores.csv", "scores.jsonl")


@pytest.fixture
def job(tmp_path):
    """Flags of a job of 150 rows, some without scores."""
    model = write_channel_mean_model(tmp_path / "model.onnx")
    images = write_list(tmp_path, 50)
    return {"model": model, "images": images, "batch_size": 4, "rows_per_part": 10}


def run(job, output, **changes):
    flags = {"output": str(output), "overwrite": True}
    return score(ScoringConfig(**(job | flags | changes)))


def run_until_row(job, output, monkeypatch, row, **changes):
    """Runs a job that dies while it loads a row."""
    with dying_at_row(monkeypatch, row):
        run(job, output, decoders=1, **changes)


def folder_of(output):
    return Path(f"{output}.parts")


def part_names(output, shard="shard-1-of-1"):
    return sorted(p.name for p in (folder_of(output) / shard).glob("part-*[!n]"))


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_bytes_whatever_the_parts(job, tmp_path, name):
    contents = set()
    for rows_per_part in (1, 30, 10_000):
        run(job, tmp_path / name, rows_per_part=rows_per_part)
        contents.add((tmp_path / name).read_bytes())
        assert not folder_of(tmp_path / name).exists()
    assert len(contents) == 1


def test_row_groups_do_not_depend_on_the_parts(job, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_writer, "_VALUES_PER_ROW_GROUP", 200)
    contents = set()
    for rows_per_part in (4, 24, 10_000):
        run(job, tmp_path / "s.parquet", rows_per_part=rows_per_part)
        contents.add((tmp_path / "s.parquet").read_bytes())
    assert len(contents) == 1
    assert parquet.ParquetFile(tmp_path / "s.parquet").num_row_groups > 3


def test_row_groups_have_a_largest_size(job, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_writer, "_MOST_ROWS_PER_GROUP", 60)
    run(job, tmp_path / "s.parquet")
    metadata = parquet.read_metadata(tmp_path / "s.parquet")
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sizes == [60, 60, 30]


@pytest.mark.parametrize("name", FORMATS)
def test_a_job_that_died_goes_on_and_ends_as_if_unbroken(job, tmp_path, monkeypatch, name):
    (tmp_path / "whole").mkdir()
    run(job, tmp_path / "whole" / name)
    output = tmp_path / name
    run_until_row(job, output, monkeypatch, 60)
    assert not output.exists()
    done = len(part_names(output))
    assert 1 < done < 12
    report = run(job, output)
    assert report.resumed == done * 12  # Parts hold whole batches.
    assert dict(report.counts) == {"ok": 100, "missing": 50}
    assert output.read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(p.name for p in tmp_path.glob("scores*")) == [name, f"{name}.manifest.json"]


class Clock:
    """Time that goes on by a step whenever it is read."""

    def __init__(self, step):
        self.step, self.now = step, 0.0

    def monotonic(self):
        self.now += self.step
        return self.now


@pytest.mark.parametrize("name", FORMATS)
def test_a_small_slow_job_goes_on_where_it_stopped(job, tmp_path, monkeypatch, name):
    job = job | {"rows_per_part": 10_000}
    run(job, tmp_path / f"whole-{name}")
    output = tmp_path / name
    with monkeypatch.context() as patch:
        patch.setattr(shard_scorer, "time", Clock(2.0))
        run_until_row(job, output, monkeypatch, 60)
    assert 2 < len(part_names(output)) < 15
    report = run(job, output)  # On a faster host: now all the rest is one part.
    assert 12 <= report.resumed <= 60
    assert output.read_bytes() == (tmp_path / f"whole-{name}").read_bytes()


SLOW_SCORER = """
import sys, time
from export.scoring.decoding import loading
from flags.program import run_program
from absl import flags
import score
original = loading.load_view
def slowly(*arguments):
    time.sleep(0.004)
    return original(*arguments)
loading.load_view = slowly
score.scoring.define(flags.FLAGS)
run_program(score.main)
"""


def test_kill_9_at_random_moments_loses_doubles_and_moves_no_row(job, tmp_path):
    run(job, tmp_path / "whole.csv")
    output = tmp_path / "scores.csv"
    values = job | {"output": str(output), "decoders": 1}
    flags = [f"--{name}={value}" for name, value in values.items()]
    command = [sys.executable, "-c", SLOW_SCORER, *flags]
    generator, killed, finished = random.Random(0), 0, []
    # On a busy machine the first ones may die before they finish a part.
    while not output.exists() and (killed < 6 or not finished[-1]):
        process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)
        while process.poll() is None and process.pid != worker_on(output):
            time.sleep(0.005)
        time.sleep(generator.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), said
        killed += process.returncode == -signal.SIGKILL
        if folder_of(output).exists():
            # By their records: a part without one is done again.
            finished.append(len(list(folder_of(output).glob("*/part-*.json"))))
    assert killed >= 3 and finished == sorted(finished) and finished[-1] > 0
    if not output.exists():
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not folder_of(output).exists()


def worker_on(output):
    """The number of the process that last began to score."""
    if not (folder_of(output) / "shard-1-of-1/job.json").exists():
        return None
    with contextlib.suppress(FileNotFoundError):  # It just came to its end.
        words = (folder_of(output) / "shard-1-of-1/lock").read_text().split()
        return int(words[1]) if words else None


@pytest.mark.parametrize("rows_per_part", [10, 20])
def test_a_damaged_part_is_done_again(job, tmp_path, monkeypatch, rows_per_part):
    run(job, tmp_path / "whole.csv")
    output = tmp_path / "scores.csv"
    run_until_row(job, output, monkeypatch, 60)
    part = folder_of(output) / "shard-1-of-1/part-000001.csv"
    part.write_bytes(part.read_bytes()[:-9])
    assert run(job, output, rows_per_part=rows_per_part).resumed == 12
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("text", ["", "{", '{"counts": {}}', "[]"])
def test_a_part_whose_record_is_damaged_is_done_again(job, tmp_path, monkeypatch, text):
    run(job, tmp_path / "whole.csv")
    output = tmp_path / "scores.csv"
    run_until_row(job, output, monkeypatch, 60)
    (folder_of(output) / "shard-1-of-1/part-000002.json").write_text(text)
    assert run(job, output).resumed == 24
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_parts_without_the_first_belong_to_no_new_job(job, tmp_path, monkeypatch):
    output = tmp_path / "scores.csv"
    run_until_row(job, output, monkeypatch, 100)
    assert len(part_names(output)) >= 6
    for number in (0, 1):
        (folder_of(output) / f"shard-1-of-1/part-{number:06}.json").unlink()
    run(job, tmp_path / "whole.csv", threshold=0.25, rows_per_part=20)
    assert run(job, output, threshold=0.25, rows_per_part=20).resumed == 0
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_refused_command_removes_no_part(job, tmp_path, monkeypatch):
    output = tmp_path / "scores.csv"
    run(job, output, shard="1/2")
    shard = folder_of(output) / "shard-2-of-2"
    with monkeypatch.context() as patch:
        patch.setattr(ShardScorer, "write_parts", lambda *_: None)
        with pytest.raises(ValueError, match="has 0 of its"):
            run(job, output, shard="2/2")
    (shard / "part-000007.csv").write_text("of an earlier job")
    with pytest.raises(ValueError, match="holds the state of another job"):
        run(job, output, shard="2/2", threshold=0.25)
    assert (shard / "part-000007.csv").exists()
    run(job, output, shard="2/2")
    assert "earlier job" not in "".join(path.read_text() for path in shard.glob("part-*.csv"))


def test_a_part_that_is_damaged_at_the_end_loses_no_row(job, tmp_path, monkeypatch):
    run(job, tmp_path / "whole.csv")
    output = tmp_path / "scores.csv"
    write_parts = ShardScorer.write_parts

    def damage(self, folder, *arguments):
        write_parts(self, folder, *arguments)
        path = Path(folder.path) / "part-000003.csv"
        path.write_bytes(path.read_bytes() + b"x")

    with monkeypatch.context() as patch:
        patch.setattr(ShardScorer, "write_parts", damage)
        with pytest.raises(ValueError, match="Shard 1/1 has 36 of its 150 rows. Repeat its"):
            run(job, output)
    assert not output.exists()
    assert run(job, output).resumed == 36
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_what_a_killed_process_left_of_the_output_is_removed(job, tmp_path):
    (tmp_path / ".scores.csv.123.partial").write_text("half a file")
    others = {".other.csv.123.partial", ".scores.csv.old.csv.123.partial"}
    for name in others:
        (tmp_path / name).write_text("of another job")
    run(job, tmp_path / "scores.csv")
    assert {path.name for path in tmp_path.glob(".*")} == others


def test_paths_that_are_not_utf8(job, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    shutil.move(tmp_path / "photos", folder / "photos")
    output = folder / "scores.csv"
    report = run(job, output, image_root=str(folder))
    assert report.counts["ok"] == 100 and "caf\\xe9/scores.csv" in str(report)
    manifest = json.loads(Path(manifest_file(str(output))).read_text(encoding="utf-8"))
    assert manifest["settings"]["image_root"] == str(folder)


def test_other_folders_beside_the_shards_are_no_obstacle(job, tmp_path, monkeypatch):
    output = tmp_path / "scores.csv"
    run_until_row(job, output, monkeypatch, 60)
    shutil.copytree(folder_of(output) / "shard-1-of-1", folder_of(output) / "shard-1-of-1.bak")
    assert run(job, output).resumed > 0


def test_a_list_with_other_columns_is_another_job(job, tmp_path, monkeypatch):
    plain, boxed = tmp_path / "plain.csv", tmp_path / "boxed.csv"
    names = [f"photos/{number}.png" for number in range(50)]
    plain.write_text("image\n" + "".join(f"{name}\n" for name in names))
    boxed.write_text("image,x,y,w,h\n" + "".join(f"{name},,,,\n" for name in names))
    output = tmp_path / "scores.csv"
    run_until_row(job, output, monkeypatch, 30, images=str(boxed))
    with pytest.raises(ValueError, match="has_boxes was true, is false"):
        run(job, output, images=str(plain))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batch_size": 8}, "batch_size was 4, is 8"),
        ({"threshold": 0.25}, r"thresholds was \[0.5, 0.5, 0.5\], is \[0.25, 0.25, 0.25\]"),
        ({"image_root": "/photos"}, 'image_root was "", is "/photos"'),
        ({"model": "other.onnx"}, "model_sha256 was"),
        ({"images": "longer.txt"}, "images_sha256 was .*rows was 150, is 151"),
        ({"shard": "1/2"}, "it has 1 shards, now 2"),
    ],
)
def test_a_changed_job_is_refused_with_the_difference(job, tmp_path, monkeypatch, changes, message):
    write_channel_mean_model(tmp_path / "other.onnx", scale=1.0)
    (tmp_path / "longer.txt").write_text((tmp_path / "list.txt").read_text() + "one more.png\n")
    output = tmp_path / "scores.csv"
    run_until_row(job, output, monkeypatch, 60)
    before = part_names(output)
    for name in ("model", "images"):
        if name in changes:
            changes = changes | {name: str(tmp_path / changes[name])}
    with pytest.raises(ValueError, match=f"the state of another job: .*{message}"):
        run(job, output, **changes)
    assert part_names(output) == before
    assert run(job, output).resumed > 0


def test_what_does_not_change_the_scores_may_change(job, tmp_path, monkeypatch):
    output = tmp_path / "scores.csv"
    run_until_row(job, output, monkeypatch, 60)
    assert run(job, output, decoders=3, strict=True, rows_per_part=20).resumed > 0


def test_a_job_without_finished_parts_is_no_obstacle(job, tmp_path, monkeypatch):
    run_until_row(job, tmp_path / "scores.csv", monkeypatch, 2)
    assert run(job, tmp_path / "scores.csv", batch_size=8).resumed == 0


def test_heatmap_files_of_a_job_without_finished_parts_are_forgotten(job, tmp_path, monkeypatch):
    output = tmp_path / "scores.csv"
    run_until_row(job, output, monkeypatch, 10, heatmaps="maps", rows_per_part=100)
    assert list((folder_of(output) / "heatmaps").rglob("*.png"))
    run(job, output)
    assert not Path(f"{output}.heatmaps").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"rows": 1, "settings": {}, "columns": {}}'])
def test_a_state_that_cannot_be_read_is_named(job, tmp_path, monkeypatch, content):
    output = tmp_path / "scores.csv"
    run_until_row(job, output, monkeypatch, 60)
    (folder_of(output) / "shard-1-of-1/job.json").write_text(content)
    with pytest.raises(ValueError, match="job.json' is not the state .* Remove its folder"):
        run(job, output)


def test_two_jobs_for_one_output(job, tmp_path):
    output = tmp_path / "scores.csv"
    with open_shard(str(output), Shard()):
        with pytest.raises(ValueError, match=f"Another job.*process {os.getpid()} on .* holds"):
            run(job, output)
    run(job, output)


def test_an_output_that_cannot_be_written(job):
    with pytest.raises(ValueError, match="Cannot write beside '/proc/scores.csv'"):
        run(job, "/proc/scores.csv")


@pytest.mark.parametrize("name", FORMATS)
def test_shards_of_any_number_are_joined_to_the_same_bytes(job, tmp_path, name):
    run(job, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    manifest = Path(manifest_file(tmp_path / name)).read_bytes()
    for count in (1, 3, 11):
        (tmp_path / name).unlink()
        for number in range(count, 0, -1):
            report = run(job, tmp_path / name, shard=f"{number}/{count}", decoders=1 + number % 2)
        if count > 1:
            assert "shard-1-of-" in report.output
            assert dict(merge(str(tmp_path / name)).counts) == {"ok": 100, "missing": 50}
        assert (tmp_path / name).read_bytes() == whole
        assert Path(manifest_file(tmp_path / name)).read_bytes() == manifest
        assert not folder_of(tmp_path / name).exists()


def test_a_shard_may_die_and_go_on(job, tmp_path, monkeypatch):
    run(job, tmp_path / "whole.csv")
    output = tmp_path / "scores.csv"
    run(job, output, shard="1/2")
    run_until_row(job, output, monkeypatch, 40, shard="2/2")
    with pytest.raises(ValueError, match="Shard 2/2 has (12|24|36) of its 74 rows. Repeat"):
        merge(str(output))
    assert run(job, output, shard="2/2").resumed in (12, 24, 36)
    assert run(job, output, shard="2/2").resumed == 74
    merge(str(output))
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_shards_that_do_not_belong_together_are_not_joined(job, tmp_path):
    output = tmp_path / "scores.csv"
    with pytest.raises(ValueError, match="holds no shards"):
        merge(str(output))
    run(job, output, shard="1/3")
    with pytest.raises(ValueError, match=r"missing: \[2, 3\]"):
        merge(str(output))
    with pytest.raises(ValueError, match="batch_size was 4, is 8"):
        run(job, output, shard="2/3", batch_size=8)
    with pytest.raises(ValueError, match="it has 3 shards, now 2"):
        run(job, output, shard="1/2")
    # Made elsewhere, and copied here.
    other = tmp_path / "elsewhere.csv"
    for number in (2, 3):
        run(job, other, shard=f"{number}/3", threshold=0.1)
        shard = f"shard-{number}-of-3"
        shutil.copytree(folder_of(other) / shard, folder_of(output) / shard, dirs_exist_ok=True)
    with pytest.raises(ValueError, match="Shards 1/3 and 2/3 are of different jobs: thresholds"):
        merge(str(output))
    assert not output.exists()


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5"])
def test_shards_that_do_not_exist(job, tmp_path, text):
    with pytest.raises(ValueError, match="--shard must be i/n"):
        run(job, tmp_path / "scores.csv", shard=text)


def test_shards_cover_all_rows_once_and_begin_with_a_batch():
    for total in (1, 7, 64, 65):
        for count in (1, 2, 5, 40):
            ranges = [Shard(number + 1, count).rows(total, 4) for number in range(count)]
            assert [row for rows in ranges for row in rows] == list(range(total))
            assert all(rows.start % 4 == 0 for rows in ranges if rows)


def test_results_carry_the_hash_of_the_model(job, tmp_path):
    run(job, tmp_path / "scores.parquet")
    properties = parquet.read_schema(tmp_path / "scores.parquet").metadata
    sha256 = hash_file(job["model"])
    assert properties[b"model_sha256"].decode() == sha256
    manifest = json.loads(Path(manifest_file(tmp_path / "scores.parquet")).read_text())
    assert manifest["settings"]["model_sha256"] == sha256
    assert (
        manifest["settings"]["label_names_sha256"] == description().to_json()["label_names_sha256"]
    )
    assert manifest["counts"] == {"missing": 50, "ok": 100} and manifest["rows"] == 150


def test_the_program_joins_shards(job, tmp_path):
    run(job, tmp_path / "whole.csv")
    output = tmp_path / "scores.csv"
    for number in (1, 2):
        run(job, output, shard=f"{number}/2")
    command = [sys.executable, str(ROOT / "score.py"), "--merge", f"--output={output}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("150 images")
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_decisions_do_not_depend_on_the_batch(job, tmp_path, batch_size):
    tables = []
    for size in (4, batch_size):
        run(job, tmp_path / "scores.parquet", batch_size=size)
        tables.append(parquet.read_table(tmp_path / "scores.parquet"))
    first, second = tables
    for name in ("image", "status", "error", "decisions"):
        assert first[name] == second[name]
    for name in ("red", "green", "blue"):
        values = [np.array(table[name].to_pylist(), float) for table in tables]
        np.testing.assert_allclose(*values, atol=1e-6, rtol=0)

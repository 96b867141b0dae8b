"""Jobs of those pictures that are new or changed, and the ledger that tells them."""

import contextlib
import json
import os
import shutil
import sqlite3
import tarfile

import numpy as np
import pytest
from PIL import Image

from export.scoring.command import run_command
from export.scoring.config import ScoringConfig
from export.scoring.incremental import only_new
from export.scoring.incremental.ledger import LEDGER_FILE, Ledger, open_ledger
from export.scoring.job import score
from tests.export.onnx_models import write_channel_mean_model
from tests.export.scoring.small_jobs import Died, die, dying_at_row, save_colour


@pytest.fixture
def job(tmp_path, model, folder):
    """Flags of a job of 12 pictures, written into a folder of outputs."""
    for number in range(12):
        save_colour(folder / f"{number:02}.png", 20 * number, 100, 255 - 20 * number)
    return {"model": model, "images": str(folder), "batch_size": 4, "decoders": 1}


@pytest.fixture
def outputs(tmp_path):
    return tmp_path / "scores"


def run(job, output, **changes):
    flags = job | {"output": str(output), "only_new": True} | changes
    text, code = run_command(ScoringConfig(**flags))
    assert code == 0
    return text


def rows(*outputs):
    """The last row of each image, over outputs in their order."""
    found = {}
    for output in outputs:
        if os.path.exists(output):
            lines = output.read_text(encoding="utf-8").splitlines()
            found.update((row["image"], row) for row in map(json.loads, lines))
    return found


def whole(job, tmp_path):
    """What a job of all pictures gives."""
    output = tmp_path / "whole.jsonl"
    score(ScoringConfig(**(job | {"output": str(output), "overwrite": True})))
    return rows(output)


def names(loaded):
    return [os.path.basename(name) for name in loaded]


def tables(outputs):
    path = outputs / only_new.LEDGER_FOLDER / LEDGER_FILE
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [
            connection.execute(f"SELECT * FROM {name}").fetchall() for name in ("runs", "scored")
        ]


def test_days_of_new_changed_renamed_and_swapped_pictures_make_up_the_whole_job(
    job, folder, outputs, tmp_path, loaded
):
    days = [outputs / f"day {number}.jsonl" for number in range(1, 6)]
    text = run(job, days[0])
    assert text.endswith(
        "; ok: 12; errors: 0; new: 12, changed: 0, by another model or other"
        " settings: 0, without scores before: 0, skipped: 0"
    )
    loaded.clear()

    # Another picture of the same size and time, a new one, a touched one.
    before = (folder / "03.png").stat()
    save_colour(folder / "03.png", 21, 100, 255)
    os.utime(folder / "03.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    save_colour(folder / "99.png", 9, 9, 9)
    os.utime(folder / "05.png")
    assert "new: 1, changed: 1," in run(job, days[1])
    assert names(loaded) == ["03.png", "99.png"]
    assert rows(*days) == whole(job, tmp_path)

    loaded.clear()
    (folder / "07.png").rename(folder / "77.png")
    os.rename(folder / "00.png", folder / "x")
    os.rename(folder / "01.png", folder / "00.png")
    os.rename(folder / "x", folder / "01.png")
    assert "new: 1, changed: 2," in run(job, days[2])
    assert names(loaded) == ["00.png", "01.png", "77.png"]

    loaded.clear()  # And back: the last row of a name has to be that of what it holds.
    save_colour(folder / "03.png", 60, 100, 195)
    assert "changed: 1," in run(job, days[3])
    assert names(loaded) == ["03.png"]
    loaded.clear()
    text = run(job, days[4])
    assert text.startswith("Nothing to score: no image is new or changed; ok: 0; errors: 0")
    assert text.endswith("skipped: 13") and not loaded and not days[4].exists()
    found = rows(*days)
    assert found.pop(str(folder / "07.png"))
    assert found == whole(job, tmp_path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_formats_are_recorded_alike(job, outputs, suffix):
    run(job, outputs / f"day.{suffix}")
    assert "skipped: 12" in run(job, outputs / f"next.{suffix}")
    (run_of_rows, scored) = tables(outputs)
    assert len(run_of_rows) == 1 and run_of_rows[0][2] == str(outputs / f"day.{suffix}")
    assert len(scored) == 12


def test_another_model_and_other_settings_score_anew_and_batch_size_does_not(
    job, outputs, tmp_path, loaded
):
    run(job, outputs / "1.csv")
    other = write_channel_mean_model(tmp_path / "other.onnx", scale=1 / 16)
    text = run(job, outputs / "2.csv", model=other)
    assert "by another model or other settings: 12, without" in text
    assert "skipped: 12" in run(job, outputs / "3.csv", model=other, batch_size=3)
    assert "settings: 12" in run(job, outputs / "3.csv", model=other, threshold=0.25)
    assert "settings: 12" in run(job, outputs / "4.csv", model=other, heatmaps="peaks")
    loaded.clear()
    # Same bytes elsewhere: the hash tells models.
    shutil.copy(other, tmp_path / "copy.onnx")
    run(job, outputs / "5.csv", model=str(tmp_path / "copy.onnx"), heatmaps="peaks")
    assert not loaded


def test_boxes_members_of_a_tar_and_names_that_are_not_utf8_are_told_apart(
    job, folder, outputs, tmp_path
):
    listed = tmp_path / "list.csv"
    name = os.fsencode(folder) + b"/\xff.png"
    shutil.copy(folder / "00.png", name)
    listed.write_bytes(
        b"image,x,y,w,h\n"
        + b"\n".join(
            [name + b",0,0,3,3", name + b",1,1,3,3", name + b",,,,", b"photos/01.png,0,0,2,2"]
        )
    )
    boxes = job | {"images": str(listed)}
    assert "new: 4" in run(boxes, outputs / "1.csv")
    assert "skipped: 4" in run(boxes, outputs / "2.csv")
    listed.write_bytes(listed.read_bytes().replace(b"1,1,3,3", b"1,1,2,2"))
    assert "new: 1, changed: 0" in run(boxes, outputs / "3.csv")

    def pack():
        shutil.make_archive(str(tmp_path / "packed"), "tar", folder)
        return job | {"images": str(tmp_path / "packed.tar")}

    assert "new: 13" in run(pack(), outputs / "4.csv")
    save_colour(folder / "00.png", 1, 1, 1)
    assert "changed: 1," in run(pack(), outputs / "5.csv")


def test_what_got_no_scores_is_tried_again(job, folder, outputs):
    (folder / "03.png").write_bytes(b"no image")
    listed = outputs.parent / "list.txt"
    listed.write_text("".join(f"photos/{number:02}.png\n" for number in range(14)))
    job = job | {"images": str(listed)}
    assert "ok: 11, unreadable: 1, missing: 2; errors: 3" in run(job, outputs / "1.csv")
    text = run(job, outputs / "2.csv")
    assert "ok: 0, unreadable: 1, missing: 2" in text and "without scores before: 3" in text
    save_colour(folder / "12.png", 1, 2, 3)
    assert "skipped: 11" in run(job, outputs / "3.csv")
    assert len(tables(outputs)[1]) == 14


def test_many_files_that_stay_broken_stop_no_later_job(job, folder, outputs):
    for number in range(130):
        (folder / f"broken {number}.png").write_bytes(b"no image")
    job = job | {"max_error_share": 0.95}
    run(job, outputs / "1.csv")
    save_colour(folder / "99.png", 9, 9, 9)
    for number in range(130):  # Others than those that are known to fail.
        (folder / f"cut {number}.png").write_bytes(b"no image, either")
    with pytest.raises(ValueError, match="Stopped: .* more than --max_error_share=0.2"):
        run(job, outputs / "2.csv", max_error_share=0.2)
    for number in range(130):
        (folder / f"cut {number}.png").unlink()
    text = run(job, outputs / "3.csv", max_error_share=0.2)
    assert "ok: 1, unreadable: 130" in text and "new: 1," in text
    assert "without scores before: 130, skipped: 12" in text


def test_members_of_one_name_in_a_tar_are_told_apart(job, folder, outputs, tmp_path):
    packed = tmp_path / "packed.tar"
    with tarfile.open(packed, "w") as tar:
        for colour in (10, 240):
            save_colour(folder / "x.png", colour, colour, colour)
            tar.add(folder / "x.png", "x.png")
    job = job | {"images": str(packed)}
    assert "new: 2," in run(job, outputs / "1.jsonl")
    assert "skipped: 2" in run(job, outputs / "2.jsonl")
    with tarfile.open(packed, "a") as tar:
        tar.add(folder / "00.png", "x.png")
    assert "new: 1, changed: 0" in run(job, outputs / "3.jsonl")
    assert "skipped: 3" in run(job, outputs / "4.jsonl")


def test_a_job_that_died_goes_on_and_one_whose_pictures_changed_does_not(
    job, folder, outputs, loaded, monkeypatch
):
    job = job | {"rows_per_part": 4}
    with dying_at_row(monkeypatch, 9):
        run(job, outputs / "1.jsonl")
    assert tables(outputs) == [[], []]
    loaded.clear()
    text = run(job, outputs / "1.jsonl")
    assert "of them before)" in text and 4 <= len(loaded) <= 8
    assert "skipped: 12" in run(job, outputs / "2.jsonl")

    os.remove(folder / "00.png")
    other = outputs / "other"
    with dying_at_row(monkeypatch, 9):
        run(job, other / "1.jsonl")
    save_colour(folder / "01.png", 200, 1, 1)
    with pytest.raises(ValueError, match="state of another job: images_sha256 was"):
        run(job, other / "1.jsonl")


def test_a_job_that_died_before_it_recorded_records_without_scoring(
    job, outputs, loaded, monkeypatch
):
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(Ledger, "record", die)
        run(job, outputs / "1.jsonl")
    assert (outputs / "1.jsonl").exists() and tables(outputs) == [[], []]
    loaded.clear()
    assert run(job, outputs / "1.jsonl").startswith("Nothing to score: all 12 images were")
    assert not loaded and len(tables(outputs)[1]) == 12


def test_a_picture_that_is_written_while_the_job_runs_is_not_recorded(
    job, folder, outputs, monkeypatch, caplog
):
    original = only_new.score

    def score_and_write(*arguments):
        report = original(*arguments)
        save_colour(folder / "04.png", 1, 1, 1)
        os.remove(folder / "05.png")
        return report

    with monkeypatch.context() as patch:
        patch.setattr(only_new, "score", score_and_write)
        run(job, outputs / "1.jsonl")
    assert "2 files were written while the job ran" in caplog.text
    assert "new: 1, changed: 0" in run(job, outputs / "2.jsonl")


def test_two_jobs_at_once_are_refused(job, outputs):
    with open_ledger(str(outputs / only_new.LEDGER_FOLDER)):
        with pytest.raises(
            ValueError, match="job uses this ledger now: process .*another --ledger"
        ):
            run(job, outputs / "1.jsonl")
    assert not (outputs / "1.jsonl").exists()
    run(job, outputs / "1.jsonl")


def damage(path):
    path.write_bytes(b"no database at all" * 100)


def cut(path):
    # Its second page on: the header still reads.
    data = path.read_bytes()
    path.write_bytes(data[:4096] + bytes(len(data) - 4096))


def foreign(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE scored (image TEXT)")


def newer(path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")


@pytest.mark.parametrize(
    "harm, message",
    [
        (damage, "ledger.sqlite' is damaged: .*remove it to score all images anew"),
        (cut, "ledger.sqlite' is damaged"),
        (foreign, "is a SQLite file of another program.*--ledger"),
        (newer, "has version 2, this program reads up to 1"),
    ],
)
def test_a_ledger_that_is_none_is_named(job, outputs, harm, message):
    run(job, outputs / "1.jsonl")
    harm(outputs / only_new.LEDGER_FOLDER / LEDGER_FILE)
    with pytest.raises(ValueError, match=message):
        run(job, outputs / "2.jsonl")
    assert not (outputs / "2.jsonl").exists()


def test_a_ledger_that_cannot_be_written_is_named_before_the_start(
    job, outputs, tmp_path, loaded, monkeypatch
):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ValueError, match="file' cannot be written: .*--ledger"):
        run(job, outputs / "1.jsonl", ledger=str(tmp_path / "file"))

    def refuse(path, flags, mode):
        raise PermissionError(13, "Permission denied", path)

    with monkeypatch.context() as patch:  # Root may write where the mode says nobody may.
        patch.setattr("export.files.folder_lock.os.open", refuse)
        with pytest.raises(ValueError, match="ledger' cannot be written: Permission denied"):
            run(job, outputs / "1.jsonl", ledger=str(tmp_path / "ledger"))
    assert not loaded


def test_a_full_disk_keeps_the_ledger_as_it_was(job, outputs):
    run(job, outputs / "1.jsonl")
    with open_ledger(str(outputs / only_new.LEDGER_FOLDER)) as ledger:
        pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
        ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
        row = only_new.ScoringInput("x" * 100_000, "x")
        with pytest.raises(ValueError, match="cannot be used: database or disk is full"):
            ledger.record("{}", "2.jsonl", [(row, 0, bytes(32))])
    assert len(tables(outputs)[0]) == 1


def test_images_by_url_and_a_missing_model_are_refused(job, outputs, tmp_path):
    (tmp_path / "urls.txt").write_text("https://host/a.jpg\n")
    with pytest.raises(ValueError, match="'https://host/a.jpg' would.*Copy the pictures"):
        run(job, outputs / "1.jsonl", images=str(tmp_path / "urls.txt"))
    with pytest.raises(ValueError, match="No model at 'gone.onnx'"):
        run(job, outputs / "1.jsonl", model="gone.onnx")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"shard": "1/2"}, "--only_new does not go with --shard"),
        ({"overwrite": True}, "--only_new does not go with --overwrite"),
        ({"engine": "ray"}, "--only_new does not go with --engine=ray"),
        ({"output": "-"}, "--output=- does not go with --only_new"),
        ({"merge": True}, "--merge does not go with --only_new"),
        ({"retry_errors": "all"}, "--retry_errors does not go with --only_new"),
        ({"only_new": False, "ledger": "here"}, "--ledger does nothing without --only_new"),
    ],
)
def test_flags_that_exclude_each_other_are_refused(changes, message):
    flags = {"model": "m", "images": "i", "output": "o.csv", "only_new": True} | changes
    with pytest.raises(ValueError, match=message):
        ScoringConfig(**flags)


@pytest.mark.slow
def test_of_ten_thousand_pictures_just_the_hundredth_part_that_changed_is_scored(
    tmp_path, model, folder, loaded
):
    generator = np.random.default_rng(0)

    def save(number):
        pixels = generator.integers(0, 256, (16, 16, 3), "uint8")
        Image.fromarray(pixels).save(folder / f"{number:05}.jpg")

    for number in range(10_000):
        save(number)
    job = {"model": model, "images": str(folder), "decoders": 1}
    run(job, tmp_path / "scores/1.csv")
    changed = sorted(generator.choice(10_000, 100, replace=False).tolist())
    for number in changed:
        save(number)
    loaded.clear()
    assert "new: 0, changed: 100," in run(job, tmp_path / "scores/2.csv")
    assert names(loaded) == [f"{number:05}.jpg" for number in changed]

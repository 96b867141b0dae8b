"""Files broken in every way that a seeded mutator knows: one row each, and nothing else happens."""

import json
import os
import random
import socket
import subprocess
import sys

import pytest
from PIL import Image
from pyarrow import parquet

from export.bundle.preprocessing import Preprocessing
from export.scoring.config import ScoringConfig
from export.scoring.decoding.loading import load
from export.scoring.job import score
from export.scoring.sources.input import ScoringInput
from export.scoring.sources.open_source import open_source
from tests.export.broken_images import MUTATIONS, broken_images
from tests.export.encoded_images import good_images
from tests.export.onnx_models import write_channel_mean_model
from tools.python_imports import REPOSITORY

STATUSES = {"ok", "missing", "unreadable", "too_large", "unsupported", "bad_row"}


def score_program(folder, *flags, timeout=120):
    """The rows of a job over all files of a folder; a crash or a hang of the program fails."""
    model = write_channel_mean_model(folder.parent / "model.onnx")
    output = folder.parent / "scores.jsonl"
    command = [
        sys.executable,
        str(REPOSITORY / "score.py"),
        f"--model={model}",
        f"--images={folder}",
    ]
    command += [f"--output={output}", "--overwrite", "--max_error_share=1", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in output.read_text().splitlines()], done


@pytest.mark.parametrize("seed", [0, 1])
def test_every_broken_file_is_one_row_and_moves_no_other(tmp_path, seed):
    folder = tmp_path / "photos"
    folder.mkdir()
    broken = broken_images(seed)
    assert len(broken) >= 200
    for number, data in enumerate(broken.values()):
        (folder / f"{number:03}.jpg").write_bytes(data)
        # Between them, so that a row that moves is seen.
        Image.new("RGB", (9, 7), (number % 256, 0, 255)).save(folder / f"{number:03}.png")
    rows, done = score_program(folder, "--batch_size=7", "--decoders=3")
    names = [f"{number:03}.{suffix}" for number in range(len(broken)) for suffix in ("jpg", "png")]
    assert [row["image"] for row in rows] == [str(folder / name) for name in names]
    assert {row["status"] for row in rows} <= STATUSES
    for row in rows:
        is_scored = row["status"] == "ok"
        assert is_scored == (row["error"] is None) == (row["red"] is not None)
        assert is_scored == (row["decisions"] is not None)
    good = rows[1::2]
    assert {row["status"] for row in good} == {"ok"}
    reds = [row["red"] for row in good[:256]]
    assert reds == sorted(reds) and len(set(reds)) == len(reds)
    refused = sum(row["status"] != "ok" for row in rows)
    assert refused > len(broken) / 2
    assert done.stdout.splitlines()[-1].endswith(f"errors: {refused}")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__.strip("_"))
def test_the_decoder_gives_pixels_or_a_reason(mutation):
    """Many more seeds, in this process: nothing but an ImageError may come out."""
    chance = random.Random(7)
    for kind, data in good_images().items():
        for _ in range(10):
            pixels, reason = _decoded(mutation(data, chance))
            assert (pixels is None) != (reason is None), kind
            if pixels is None:
                assert reason.status in STATUSES - {"ok"} and str(reason)
            else:
                assert pixels.shape == (8, 8, 3)


def _decoded(data):
    descriptor = os.memfd_create("image")
    try:
        os.write(descriptor, data)
        path = f"/proc/self/fd/{descriptor}"
        loaded = load(ScoringInput(path, path), Preprocessing(8, 8))
    finally:
        os.close(descriptor)
    return None if loaded.view is None else loaded.view.values, loaded.error


def test_what_is_no_file_is_a_row_and_blocks_nothing(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "folder.jpg").mkdir()
    (folder / "folder.jpg" / "inside.jpg").write_bytes(good_images()["jpeg"])
    os.mkfifo(folder / "pipe.jpg")  # Opening it would wait for a writer, for ever.
    (folder / "endless.jpg").symlink_to("/dev/zero")
    (folder / "nowhere.jpg").symlink_to("gone.jpg")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "ping.jpg").symlink_to("pong.jpg")
    (folder / "pong.jpg").symlink_to("ping.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.jpg"))
        rows, _ = score_program(folder)
    statuses = {os.path.relpath(row["image"], folder): row["status"] for row in rows}
    assert len(statuses) == len(rows)
    assert statuses == {
        "endless.jpg": "unreadable",
        "folder.jpg/inside.jpg": "ok",
        "loop.jpg": "unreadable",
        "nowhere.jpg": "missing",
        "ping.jpg": "unreadable",
        "pipe.jpg": "unreadable",
        "pong.jpg": "unreadable",
        "socket.jpg": "unreadable",
    }


def write_list_with_a_bad_line(path, count):
    lines = ["a.png,0,0,1,1\n"] * count
    lines[count // 2] = "a.png,0,zero,1,1\n"
    path.write_text("image,x,y,w,h\n" + "".join(lines))
    return str(path), f"line {count // 2 + 2}"  # The header is line 1.


def test_a_bad_line_of_a_list_is_one_row(tmp_path):
    Image.new("RGB", (1, 1), (255, 0, 0)).save(tmp_path / "a.png")
    images, line = write_list_with_a_bad_line(tmp_path / "list.csv", 2000)
    output = tmp_path / "scores.parquet"
    model = write_channel_mean_model(tmp_path / "model.onnx")
    report = score(ScoringConfig(model, images, output=str(output)))
    assert dict(report.counts) == {"ok": 1999, "bad_row": 1}
    errors = parquet.read_table(output)["error"]
    assert line in errors[1000].as_py() and errors.null_count == 1999


@pytest.mark.slow
def test_a_bad_line_among_a_million_is_one_row(tmp_path):
    """Scored is the shard around it: the list is read whole all the same."""
    Image.new("RGB", (1, 1), (255, 0, 0)).save(tmp_path / "a.png")
    images, line = write_list_with_a_bad_line(tmp_path / "list.csv", 1_000_000)
    problems = [row.problem for row in open_source(images).read()]
    assert len(problems) == 1_000_000 and problems.count(None) == 999_999
    assert line in problems[500_000]
    model = write_channel_mean_model(tmp_path / "model.onnx")
    config = ScoringConfig(model, images, output=str(tmp_path / "scores.csv"), shard="251/501")
    report = score(config)
    assert report.counts["bad_row"] == 1 and 1000 < report.counts["ok"] < 3000

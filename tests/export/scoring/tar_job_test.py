"""Images inside tar files: read in place, row by row, with nothing written to the disk."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.sources.open_source import open_source
from tests.export.onnx_models import write_channel_mean_model
from tools.python_imports import REPOSITORY

ROOT = REPOSITORY
LONG = "folder/" * 30 + "long.png"


def png(seed):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 7, 3), "uint8")
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write_tar(path, members, **options):
    """Members are (name, contents), or (name, tarfile type) for what is no file."""
    with tarfile.open(path, "w", **options) as tar:
        for name, contents in members:
            info = tarfile.TarInfo(name)
            if isinstance(contents, bytes) and len(contents) != 1:
                info.size = len(contents)
                tar.addfile(info, io.BytesIO(contents))
            else:
                info.type, info.linkname = contents, "../../etc/passwd"
                tar.addfile(info)
    return str(path)


def run(tmp_path, images, **changes):
    model = write_channel_mean_model(tmp_path / "model.onnx")
    output = str(tmp_path / "scores.parquet")
    report = score(
        ScoringConfig(model=model, images=images, output=output, overwrite=True, **changes)
    )
    return report, parquet.read_table(output).to_pylist()


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_score_as_the_files_do(tmp_path, tar_format):
    names = ["b.png", LONG, "caf\udce9.png", "a b\n.png"]
    (tmp_path / "photos").mkdir()
    for number in range(len(names)):
        (tmp_path / f"photos/{number}.png").write_bytes(png(number))
    members = [(name, png(number)) for number, name in enumerate(names)]
    tar = write_tar(tmp_path / "photos.tar", members, format=tar_format)
    _, expected = run(tmp_path, str(tmp_path / "photos"))
    report, rows = run(tmp_path, tar)
    assert dict(report.counts) == {"ok": 4}
    assert [row["image"] for row in rows] == [
        f"{tar}/{name}".replace("\udce9", "\\xe9") for name in names
    ]
    for row, other in zip(rows, expected, strict=True):
        assert [row[c] for c in ("red", "green", "blue")] == [
            other[c] for c in ("red", "green", "blue")
        ]


def test_bad_members_are_rows_and_leave_no_file(tmp_path):
    (tmp_path / "inner").mkdir()
    members = [
        ("../evil.png", png(0)),
        ("a/../../evil.png", png(0)),
        ("/evil.png", png(0)),
        ("link.png", tarfile.SYMTYPE),
        ("hard.png", tarfile.LNKTYPE),
        ("pipe.png", tarfile.FIFOTYPE),
        ("folder.png", tarfile.DIRTYPE),
        ("notes.json", b"{}"),
        ("empty.png", b""),
        ("cut.png", png(1)[:40]),
        ("..odd..name...png", png(1)),
        ("good.png", png(1)),
        ("good.png", png(2)),
    ]
    tar = write_tar(tmp_path / "inner" / "bad.tar", members)
    before = sorted(os.listdir(tmp_path / "inner"))
    report, rows = run(tmp_path, tar)
    assert [row["status"] for row in rows] == ["bad_row"] * 6 + ["unreadable"] * 2 + ["ok"] * 3
    assert "leads outside" in rows[0]["error"] and "leads outside" in rows[2]["error"]
    assert "is a link or a special file" in rows[3]["error"]
    assert report.left_out == 1
    assert rows[-1]["red"] != rows[-2]["red"]  # A name may occur twice.
    assert sorted(os.listdir(tmp_path / "inner")) == before
    assert not (tmp_path / "evil.png").exists()


def test_a_glob_of_tars_is_read_in_the_order_of_names_and_members(tmp_path):
    for shard in (1, 0):
        write_tar(tmp_path / f"shard-{shard}.tar", [("z.png", png(0)), ("a.png", png(1))])
    rows = [row.image for row in open_source(str(tmp_path / "shard-*.tar")).read()]
    tars = [str(tmp_path / f"shard-{shard}.tar") for shard in (0, 1)]
    assert rows == [f"{tar}/{name}" for tar in tars for name in ("z.png", "a.png")]
    (tmp_path / "shard-2.png").write_bytes(png(0))
    with pytest.raises(ValueError, match="tar files only or none, got .*shard-0.tar.*shard-2.png"):
        open_source(str(tmp_path / "shard-*"))


@pytest.mark.parametrize("damage", ["cut in data", "cut in header", "cut at header", "header"])
def test_a_damaged_tar_is_refused_and_not_taken_for_a_short_one(tmp_path, damage):
    path = Path(write_tar(tmp_path / "a.tar", [(f"{n}.png", png(n)) for n in range(3)]))
    data = bytearray(path.read_bytes())
    with tarfile.open(path) as tar:
        second = tar.getmembers()[1]
    if damage == "header":
        data[second.offset : second.offset + 100] = os.urandom(100)
    else:
        end = {"cut in data": second.offset_data + 9, "cut in header": second.offset + 100}
        del data[end.get(damage, second.offset) :]
    path.write_bytes(data)
    with pytest.raises(ValueError, match="a.tar' cannot be read as a tar file"):
        open_source(str(path))


def test_joined_tars_are_refused_and_not_taken_for_the_first(tmp_path):
    paths = []
    for name in ("a", "b"):
        (tmp_path / f"{name}.jpg").write_bytes(b"image")
        paths.append(tmp_path / f"{name}.tar")
        with tarfile.open(paths[-1], "w") as tar:
            tar.add(tmp_path / f"{name}.jpg", f"{name}.jpg")
    joined = tmp_path / "joined.tar"
    joined.write_bytes(b"".join(path.read_bytes() for path in paths))
    assert open_source(str(paths[0])).count == 1
    with pytest.raises(ValueError, match="joined.tar' cannot be read .* goes on behind its end"):
        open_source(str(joined))


@pytest.mark.parametrize("content", [b"", b"no tar file at all" * 100, bytes(10240)])
def test_what_holds_no_members_is_refused(tmp_path, content):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as a tar file|holds no images"):
        open_source(str(tmp_path / "a.tar"))


def test_odd_paths_of_the_standard_input_come_out_as_rows(tmp_path):
    """Through the program, where bytes become names and names become text again."""
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / " a b.png").write_bytes(png(0))
    (folder / "caf\udce9.png").write_bytes(png(1))
    lines = [b"photos/ a b.png", b"photos/caf\xe9.png", b"zero\x00byte.png", b"gone.png"]
    flags = [
        f"--model={write_channel_mean_model(tmp_path / 'model.onnx')}",
        "--images=-",
        "--output=scores.jsonl",
    ]
    command = [sys.executable, str(ROOT / "score.py"), *flags]
    done = subprocess.run(command, cwd=tmp_path, input=b"\n".join(lines), capture_output=True)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["ok", "ok", "bad_row", "missing"]
    names = ["photos/ a b.png", "photos/caf\\xe9.png", "zero\x00byte.png", "gone.png"]
    assert [row["image"] for row in rows] == names

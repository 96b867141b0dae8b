"""Jobs whose disk is full: what they say, and what of them is kept."""

import atexit
import contextlib
import errno
import io
import resource
import tempfile

import numpy as np
import pytest

from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.output import parquet_writer
from export.scoring.output.rows import Columns, RowBlock
from export.scoring.output.writers import open_rows, open_writer
from export.scoring.sources.input import ScoringInput
from export.scoring.sources.open_source import open_source
from tests.export.onnx_models import write_channel_mean_model


@contextlib.contextmanager
def largest_file(size):
    """Writing past `size` bytes of a file fails while the body runs, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def rows(count):
    values = np.random.default_rng(0).random((count, 3), np.float32)
    inputs = [ScoringInput("a.png", "a.png")] * count
    return RowBlock(inputs, ["ok"] * count, [None] * count, values, values > 0.5)


class FullDisk(io.BytesIO):
    """A file on a disk without room but for its first bytes."""

    def write(self, data):
        if self.tell() + len(data) > 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_full_disk_is_no_closed_file(monkeypatch):
    monkeypatch.setattr(parquet_writer, "_MOST_ROWS_PER_GROUP", 10)
    with pytest.raises(OSError, match="No space left") as caught:
        with open_rows(FullDisk(), ".parquet", Columns(("r", "g", "b"))) as writer:
            writer.write(rows(100))
    assert "closed" not in str(caught.value.__context__)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_full_disk_is_named_with_the_file(tmp_path, suffix):
    path = str(tmp_path / f"scores{suffix}")
    with largest_file(2000), pytest.raises(OSError) as caught:
        with open_writer(path, Columns(("r", "g", "b"))) as writer:
            writer.write(rows(1000))
    assert caught.value.errno == errno.EFBIG and caught.value.filename == path
    assert f"Cannot write {path!r}: File too large" in str(caught.value)
    assert " MiB free" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_job_on_a_full_disk_keeps_its_finished_parts_and_says_so(tmp_path):
    names = [f"{n}.png" for n in range(8)] + ["x" * 1000] * 4
    (tmp_path / "list.txt").write_text("\n".join(names))
    model = write_channel_mean_model(tmp_path / "model.onnx")
    output = str(tmp_path / "scores.csv")
    config = ScoringConfig(
        model, str(tmp_path / "list.txt"), output=output, batch_size=4, rows_per_part=4
    )
    with largest_file(3000), pytest.raises(OSError, match="part-000002.csv'.*too large") as caught:
        score(config)
    assert "Finished parts are kept, and the same command goes on" in str(caught.value)
    assert score(config).resumed == 8


def test_a_full_disk_under_the_paths_of_the_standard_input_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"photo.png\n" * 1000)))
    removed = []
    monkeypatch.setattr(atexit, "register", lambda function, path: removed.append(path))
    message = f"paths of the standard input cannot be kept in '{tmp_path}/.*too large.*TMPDIR"
    with largest_file(2000), pytest.raises(ValueError, match=message):
        open_source("-")
    assert [str(path) for path in tmp_path.iterdir()] == removed

"""A job most of whose inputs fail stops, and goes on when the reason is gone."""

import numpy as np
import pytest
from PIL import Image

from export.scoring.config import ScoringConfig
from export.scoring.engine.error_share import ErrorShare
from export.scoring.job import score
from tests.export.onnx_models import write_channel_mean_model


@pytest.fixture
def job(tmp_path):
    """300 rows of one photograph each, 200 of them on a mount."""
    for name in ("here", "mount"):
        (tmp_path / name).mkdir()
        pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), "uint8")
        Image.fromarray(pixels).save(tmp_path / name / "a.png")
    lines = ["here/a.png\n"] * 100 + ["mount/a.png\n"] * 200
    (tmp_path / "list.txt").write_text("".join(lines))
    return {
        "model": write_channel_mean_model(tmp_path / "model.onnx"),
        "images": str(tmp_path / "list.txt"),
        "output": str(tmp_path / "scores.csv"),
        "batch_size": 10,
        "rows_per_part": 100,
    }


def test_a_mount_that_goes_away_stops_the_job_and_leaves_no_row_of_errors(job, tmp_path):
    score(ScoringConfig(**job))
    expected = (tmp_path / "scores.csv").read_bytes()
    (tmp_path / "scores.csv").unlink()
    (tmp_path / "mount").rename(tmp_path / "unmounted")
    message = r"100 of the last 100 images failed \(missing: 100\).*mount/a.png.*not mounted"
    with pytest.raises(ValueError, match=message):
        score(ScoringConfig(**job))
    with pytest.raises(ValueError, match=message):
        score(ScoringConfig(**job))
    assert not (tmp_path / "scores.csv").exists()
    (tmp_path / "unmounted").rename(tmp_path / "mount")
    assert score(ScoringConfig(**job)).resumed == 100
    assert (tmp_path / "scores.csv").read_bytes() == expected


def test_the_share_is_the_users(job, tmp_path):
    (tmp_path / "mount").rename(tmp_path / "unmounted")
    report = score(ScoringConfig(**job, max_error_share=1.0))
    assert dict(report.counts) == {"ok": 100, "missing": 200}
    with pytest.raises(ValueError, match="between 0 and 1, got 50"):
        ScoringConfig(**job, max_error_share=50)


def feed(watch, text):
    """A row per letter: `o` for ok, `e` for an error."""
    for letter in text:
        watch.update(["ok" if letter == "o" else "missing"], [None if letter == "o" else "Gone."])


def test_fewer_than_100_rows_say_nothing():
    watch = ErrorShare(0.5)
    feed(watch, "e" * 99)
    with pytest.raises(ValueError, match="100 of the last 100"):
        feed(watch, "e")


def test_exactly_the_share_is_allowed():
    watch = ErrorShare(0.5)
    feed(watch, "oe" * 100)
    with pytest.raises(ValueError, match="101 of the last 201"):
        feed(watch, "e")


def test_small_parts_are_counted_together_and_large_ones_alone():
    small = ErrorShare(0.5)
    with pytest.raises(ValueError, match="100 of the last 100"):
        for _ in range(10):
            small.begin_part()
            feed(small, "e" * 10)
    large = ErrorShare(0.5)
    feed(large, "o" * 1000)
    large.begin_part()
    with pytest.raises(ValueError, match="100 of the last 100"):
        feed(large, "e" * 100)

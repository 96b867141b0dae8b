"""The page of scores and heatmaps over a training: from raw files alone."""

import json

import numpy as np
import pytest

from experiments.score_and_attention import write_report

PAGE = (
    "before\n<!-- study score_and_attention -->\nold\n<!-- /study score_and_attention -->\nafter\n"
)


@pytest.fixture
def folder(tmp_path):
    """A course whose scores follow the shares in the masks; one pair has a constant heatmap."""
    generator = np.random.default_rng(0)
    inside = generator.uniform(0, 1, (4, 30)).round(4)
    raw = {"images": [*range(30)], "epochs": [1, 2, 3, 4], "scores": (inside / 2).tolist()}
    raw["inside"] = inside.tolist()
    raw["inside"][0][0] = None
    raw["inside_mirrored"] = generator.uniform(0, 1, (4, 30)).tolist()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "first_run.json").write_text(json.dumps(raw))
    (tmp_path / "page.md").write_text(PAGE)
    return tmp_path


def test_the_report_needs_the_raw_files_only(folder):
    write_report(folder / "runs", folder / "page.md")
    page = (folder / "page.md").read_text()
    assert page.startswith("before\n") and page.endswith("after\n") and "old" not in page
    assert "| first run | 29 (29) | 4 |" in page
    assert page.count("1.00 [1.00, 1.00]; ") == 3
    assert "![runs/first_run.png](runs/first_run.png)" in page
    assert (folder / "runs" / "first_run.png").stat().st_size > 0


def test_damaged_files_and_pages_without_the_part_are_named(folder):
    (folder / "page.md").write_text("nothing")
    with pytest.raises(ValueError, match="lacks the marks of the study"):
        write_report(folder / "none", folder / "page.md")
    (folder / "runs" / "first_run.json").write_text('{"epochs": [1]}')
    with pytest.raises(ValueError, match=r"first_run\.json is damaged.*--name=first_run"):
        write_report(folder / "runs", folder / "page.md")

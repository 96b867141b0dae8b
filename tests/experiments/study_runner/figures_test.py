"""The figure of paired differences: long names leave the panels their room."""

import warnings

from experiments.study_runner.figures import draw_differences


def test_long_names_leave_the_panels_their_room(tmp_path):
    difference = {"low": 0.01, "high": 0.03, "mean": 0.02, "seeds": 3}
    comparison = {"row": "row", "difference": {"mAP": difference, "mA": difference}}
    names = {"row": "a long name of a row " * 8, "control": "x" * 120, "other": "other control"}
    summary = {
        "rows": {key: {"name": name} for key, name in names.items()},
        "comparisons": [{**comparison, "baseline": baseline} for baseline in ("control", "other")],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Matplotlib warns where panels have collapsed.
        draw_differences(summary, str(tmp_path / "differences.png"))
    assert (tmp_path / "differences.png").read_bytes().startswith(b"\x89PNG")

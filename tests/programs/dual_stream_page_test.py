"""The commands of docs/dual_stream.md."""

import json

import pytest

from tests.programs.documentation import run_commands

pytestmark = pytest.mark.timeout(1800)  # Five programs, which a busy machine draws out.


def test_commands_run_in_order(tmp_path):
    run_commands("docs/dual_stream.md", tmp_path)
    evaluation = json.loads((tmp_path / "runs/dual_stream/evaluation.json").read_text())
    assert 0.0 <= evaluation["label_based"]["mAP"] <= 1.0
    assert (tmp_path / "runs/analysis/report.html").exists()

"""The commands of docs/dual_stream.md."""

import json

from tests.programs.documentation import run_commands


def test_commands_run_in_order(tmp_path):
    run_commands("docs/dual_stream.md", tmp_path)
    evaluation = json.loads((tmp_path / "runs/dual_stream/evaluation.json").read_text())
    assert 0.0 <= evaluation["label_based"]["mAP"] <= 1.0
    assert (tmp_path / "runs/analysis/report.html").exists()

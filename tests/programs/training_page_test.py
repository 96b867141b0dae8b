"""The commands of docs/training.md."""

import json

from tests.programs.documentation import run_commands, write_data


def test_commands_run_in_order(tmp_path):
    write_data(tmp_path)
    run_commands("docs/training.md", tmp_path)
    for run in ("mine", "coco"):
        evaluation = json.loads((tmp_path / f"runs/{run}/evaluation.json").read_text())
        assert 0.0 <= evaluation["label_based"]["mAP"] <= 1.0
    assert (tmp_path / "runs/mine/thresholds.json").exists()
    assert (tmp_path / "runs/wider_r50_acf/network.keras").exists()

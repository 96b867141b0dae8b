"""The demo, small: every program one after the other, and what it says is there."""

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_demo_leaves_what_it_names(tmp_path):
    command = [sys.executable, "demo.py", f"--output_dir={tmp_path}", "--epochs=1", "--images=48"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    named = dict(re.findall(r"^(.+): (/.+)$", result.stdout, flags=re.MULTILINE))
    assert len(named) == 5 and all(Path(path).exists() for path in named.values())
    evaluation = json.loads(Path(named["metrics, consistent"]).read_text())
    assert evaluation["inconsistency"]["hflip"]["relative"] > 0
    with open(named["scores"], newline="") as stream:
        assert {row["status"] for row in csv.DictReader(stream)} == {"ok"}

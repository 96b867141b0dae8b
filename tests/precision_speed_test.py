"""The benchmark of the precisions, started as its docstring says, on a tiny network."""

import re
import subprocess
import sys

from tools.python_imports import REPOSITORY


def test_it_prints_a_line_per_precision():
    flags = ("--backbone=small", "--image_size=32", "--batch_size=2", "--rounds=2")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.precision_speed", *flags],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    line = r"^(fp\d+|int8): [\d.]+ ms per image, ([\d.]+) times fp32, ([\d.]+) MiB$"
    rows = re.findall(line, done.stdout, flags=re.MULTILINE)
    assert [name for name, _, _ in rows] == ["fp32", "fp16", "int8"]
    assert float(rows[0][1]) == 1.0
    assert float(rows[2][2]) < float(rows[1][2]) < float(rows[0][2])

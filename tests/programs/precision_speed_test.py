"""The benchmark of the precisions, started as its docstring says, on a tiny network."""

import re
import subprocess
import sys

from PIL import Image

from tools.python_imports import REPOSITORY


def test_it_prints_a_line_per_precision(tmp_path):
    for number in range(3):
        Image.new("RGB", (40, 30), (number, 9, 9)).save(tmp_path / f"{number}.jpg")
    flags = ("--backbone=small", "--image_size=32", "--batch_size=2", "--rounds=2")
    flags += (f"--images={tmp_path}", "--count=5", "--job_rounds=1")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.precision_speed", *flags],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    sizes = re.findall(r"^(\w+): ([\d.]+) MiB$", done.stdout, flags=re.MULTILINE)
    assert [name for name, _ in sizes] == ["fp32", "fp16", "int8"]
    assert float(sizes[2][1]) < float(sizes[1][1]) < float(sizes[0][1])
    for what in ("network alone", "from files to Parquet"):
        line = rf"^{what}, (\w+): [\d.]+ ms per image, ([\d.]+) times fp32$"
        rows = re.findall(line, done.stdout, flags=re.MULTILINE)
        assert [name for name, _ in rows] == ["fp32", "fp16", "int8"]
        assert float(rows[0][1]) == 1.0

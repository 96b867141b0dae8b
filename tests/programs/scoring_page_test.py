"""The commands of docs/scoring.md, on a run that was trained for them."""

import subprocess
import sys

from pyarrow import parquet

from tests.programs.documentation import SHRUNK, run_commands, run_example, write_data
from tools.python_imports import REPOSITORY


def test_commands_run_in_order(tmp_path):
    write_data(tmp_path)
    train = [sys.executable, str(REPOSITORY / "train.py"), "--dataset=table"]
    train += ["--data_dir=data/mine", "--validation_fraction=0.1", "--run_dir=runs/mine"]
    subprocess.run([*train, *SHRUNK["train.py"]], cwd=tmp_path, check=True)
    run_commands("docs/scoring.md", tmp_path)
    assert (tmp_path / "models/mine/config.pbtxt").exists()
    _, printed = run_example("docs/scoring.md", tmp_path)
    (row, *_) = parquet.read_table(tmp_path / "scores.parquet").to_pylist()
    assert row["image"] == "photos/0.jpg"
    assert printed == [str(row["decisions"]), f"{row['cat']:.3f}"]

"""Says whether this host can score, what is installed, and how to install the rest.

    python doctor.py
    python doctor.py --model=bundle/model.onnx --providers=cuda

The first lines are those of score.py --doctor; with --model that is opened as a job would. Exit
code 1: something is wrong, and the line PROBLEM says what mends it. A part that is not installed is
no problem.
"""

from command.installation import describe_installation
from export.scoring.command import run_command
from export.scoring.config import ScoringConfig
from flags import dataclass_flags
from flags.console import quiet_imports
from flags.program import run_program

_FLAGS = ("model", "providers", "devices")


def main() -> int:
    config = dataclass_flags.from_flags(ScoringConfig, doctor=True)
    with quiet_imports():
        text, exit_code = run_command(config)
        print(f"{text}\n", flush=True)  # Before TensorFlow is imported, and may end the process.
        print(describe_installation())
    return exit_code


if __name__ == "__main__":
    others = [name for name in ScoringConfig.__dataclass_fields__ if name not in _FLAGS]
    dataclass_flags.define(ScoringConfig, skip=others)
    run_program(main)

"""Starts the programs as a user would."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class StepFailed(RuntimeError):
    """A program did not come through; `exit_code` is its own, or as a shell has it for a signal."""

    def __init__(self, program: str, return_code: int):
        super().__init__(f"{program} ended with {return_code}; see above.")
        self.exit_code = return_code if return_code > 0 else 128 - return_code


def start_program(program: str, *arguments: str) -> None:
    """Shows a command and runs it in the repository; StepFailed when it does not end with 0."""
    print(f"\n$ python {program} {' '.join(arguments)}", flush=True)
    done = subprocess.run([sys.executable, program, *arguments], cwd=ROOT)
    if done.returncode:
        raise StepFailed(program, done.returncode)

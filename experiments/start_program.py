"""Starts the programs as a user would."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def start_program(program: str, *arguments: str) -> None:
    """Shows a command and runs it in the repository; CalledProcessError when it fails."""
    print(f"\n$ python {program} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, program, *arguments], cwd=ROOT, check=True)

"""The peak of memory since a moment."""

import subprocess
import sys

import pytest

from tools.python_imports import REPOSITORY


def test_the_peak_of_a_moment_is_forgotten():
    # In a process of its own: this one may have memory left from other tests.
    program = """
import numpy as np
from export.scoring.benchmark.peak_memory import forget_peak, peak_bytes
forget_peak()
before = peak_bytes()
array = np.ones(2**26, np.uint8)
while_held = peak_bytes()
del array
forget_peak()
print(before, while_held, peak_bytes())
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    before, while_held, after = map(int, done.stdout.split())
    assert while_held > before + 2**25
    if after == while_held:
        pytest.skip("/proc/self/clear_refs cannot be written here")
    assert after < before + 2**25

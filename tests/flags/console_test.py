"""What a program says on the console while it imports its libraries."""

import os
import subprocess
import sys
import tempfile

import pytest

from tools.python_imports import REPOSITORY

START = r"""
import os, signal, sys, types
from flags.console import quiet_imports
sys.modules.pop("onnxruntime", None)
with quiet_imports():
    os.write(2, b"WARNING: All log messages before absl::InitializeLog()\nI0000 oneDNN is on\n")
    os.write(2, b"a wanted line\n")
"""


def messages(source, **variables):
    """What a process that runs `source` writes to its standard error, in lines."""
    kept = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=REPOSITORY,
        env=kept | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stderr.splitlines()


def test_notes_are_left_out_and_other_lines_come_before_those_that_follow():
    source = START + "os.write(2, b'behind the imports\\n')"
    assert messages(source) == ["a wanted line", "behind the imports"]


def test_a_user_who_set_the_level_gets_everything():
    assert len(messages(START, TF_CPP_MIN_LOG_LEVEL="2")) == 3


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "os.abort()", "1 / 0"])
def test_the_last_words_of_a_program_that_dies_there_are_not_lost(end):
    lines = messages(f"{START}    os.write(2, b'F0000 check failed: driver\\n'); {end}")
    assert lines[:2] == ["a wanted line", "F0000 check failed: driver"]
    assert not any("oneDNN" in line for line in lines)


@pytest.mark.parametrize(
    "start",
    [
        "from multiprocessing import shared_memory as shared;"
        " shared.SharedMemory(create=True, size=9).unlink()",
        "subprocess.Popen(['sleep', '30'], stdout=subprocess.DEVNULL)",
    ],
)
def test_a_process_that_an_import_leaves_behind_holds_nothing_up(start):
    source = f"import os, subprocess, time\n{START}    {start}\n    began = time.monotonic()\n"
    source += "print(time.monotonic() - began, flush=True); os.write(2, b'behind')"
    # Nobody waits for the end of the standard error, which the process has, too.
    command = [sys.executable, "-c", source]
    kept = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    with tempfile.TemporaryFile() as errors:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=kept, stdout=subprocess.PIPE, stderr=errors, timeout=20
        )
        errors.seek(0)
        assert errors.read() == b"a wanted line\nbehind"
    assert float(done.stdout) < 5


def test_a_process_that_an_import_leaves_behind_can_still_be_heard():
    source = (
        f"import subprocess\n{START}    subprocess.Popen('sleep 0.5; echo late >&2', shell=True)"
    )
    assert messages(source + "\nos.write(2, b'behind\\n')") == ["a wanted line", "behind", "late"]


def test_a_line_without_an_end_is_not_lost():
    assert messages(START + "    os.write(2, b'half')\nos.write(2, b' and half')")[1:] == [
        "half and half"
    ]


@pytest.mark.parametrize(
    ("visible", "used", "warnings"), [(True, [], 1), (True, ["GPU"], 0), (False, [], 0)]
)
def test_a_gpu_that_tensorflow_cannot_use_is_named(visible, used, warnings):
    source = f"""
from flags import console
console.gpu_is_visible = lambda: {visible}
{START}
    tensorflow = types.ModuleType("tensorflow")
    tensorflow.config = types.SimpleNamespace(list_physical_devices=lambda kind: {used})
    sys.modules["tensorflow"] = tensorflow
"""
    lines = messages(source)
    assert lines[0] == "a wanted line" and len(lines) == 1 + warnings
    assert not warnings or "An NVIDIA GPU is visible, but TensorFlow cannot use it" in lines[1]

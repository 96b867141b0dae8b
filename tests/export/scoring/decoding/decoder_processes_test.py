"""Decoder processes: the same as threads, and what happens to one that dies."""

import os
import signal
import subprocess
import sys
import time

import pytest

from export.bundle.preprocessing import Preprocessing
from export.scoring.decoding.batch_loader import BatchLoader
from export.scoring.decoding.decoder_processes import DecoderProcesses
from export.scoring.decoding.fork_server import ForkServer
from export.scoring.decoding.loading import LoadingSettings
from export.scoring.sources.input import ScoringInput
from tests.export.onnx_models import write_channel_mean_model
from tests.export.scoring.decoding.stand_ins import fail, load_number, load_or_die, load_slowly
from tests.export.scoring.small_jobs import write_list
from tools.python_imports import REPOSITORY

SLOTS = 12
SHAPE = (4, SLOTS, 1, 1, 3)


@pytest.fixture
def start():
    """Starts decoder processes, which end with the test."""
    started = []

    def start(load, count=2, budget_bytes=2**20):
        settings = LoadingSettings(Preprocessing(1, 1), load=load)
        started.append(DecoderProcesses(count, settings, SHAPE, "float32", budget_bytes))
        return started[-1]

    yield start
    for processes in started:
        processes.close()


def numbered(values, paths=None):
    """Batches of inputs of these numbers, some with a path."""
    inputs = [ScoringInput(str(value), (paths or {}).get(value, "")) for value in values]
    return [
        list(enumerate(inputs[first : first + SLOTS])) for first in range(0, len(inputs), SLOTS)
    ]


def load(processes, batches):
    """What was loaded, and the pixels of each."""
    loaded, pixels = [], []
    for batch in BatchLoader(processes).load(batches):
        loaded += batch.inputs
        pixels += batch.images[: len(batch.inputs), 0, 0, 0].tolist()
    return loaded, pixels


def wait_until(is_so):
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_alive(process):
    """Whether it runs; one that nobody has waited for does not."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_every_input_lands_in_its_slot(start):
    values = [value if value % 7 else -value for value in range(1, 100)]
    loaded, pixels = load(start(load_number), numbered(values))
    assert [value.scoring_input.image for value in loaded] == list(map(str, values))
    assert pixels == [max(value, 0) for value in values]
    for value, found in zip(values, loaded, strict=True):
        if value < 0:
            assert (found.error.status, str(found.error)) == ("missing", f"no {value}")
        else:
            assert found.view.corners == (0, 0, value, 1)


def test_a_process_that_dies_is_replaced_and_no_other_input_suffers(start, tmp_path, caplog):
    (tmp_path / "always").mkdir()
    (tmp_path / "once").touch()
    paths = {17: str(tmp_path / "always"), 44: str(tmp_path / "once")}
    processes = start(load_or_die, budget_bytes=1200)
    before = processes.process_numbers
    values = list(range(1, 100))
    # What the dead held is free again: the others could not go on, 600 of 1200 bytes each.
    loaded, pixels = load(processes, numbered(values, paths))
    errors = {value: found.error for value, found in zip(values, loaded, strict=True)}
    assert [value for value, error in errors.items() if error] == [17]
    assert errors[17].status == "decoder_died" and "another one" in str(errors[17])
    assert pixels == [0 if value == 17 else value for value in values]
    assert len(processes.process_numbers) == 2 and processes.process_numbers != before
    assert caplog.text.count("Another one takes its place") == 3


def test_processes_are_replaced_when_the_server_that_forks_them_is_gone(start, tmp_path):
    processes = start(load_or_die)
    server = processes._server._process
    server.kill()
    server.wait()
    (tmp_path / "once").touch()
    values = list(range(1, 30))
    loaded, pixels = load(processes, numbered(values, {5: str(tmp_path / "once")}))
    assert pixels == values and not any(value.error for value in loaded)


def test_the_job_ends_when_no_process_can_be_started_any_more(start, tmp_path, monkeypatch):
    processes = start(load_or_die)

    def refuse(self):
        raise OSError("no more processes")

    monkeypatch.setattr(ForkServer, "__init__", refuse)
    processes._server._process.kill()
    processes._server._process.wait()
    (tmp_path / "always").mkdir()
    with pytest.raises(OSError, match="no more processes"):
        load(processes, numbered(range(1, 30), {5: str(tmp_path / "always")}))


def test_a_fault_of_the_program_is_raised(start):
    with pytest.raises(RuntimeError, match="(?s)A decoder process failed.*KeyError: 'input 1'"):
        load(start(fail), numbered(range(1, 3)))


def test_processes_that_end_at_once_are_an_error(start, monkeypatch):
    monkeypatch.setattr(sys, "path", [])  # Nothing can be imported there.
    with pytest.raises(OSError, match="ended before it began"):
        start(load_number)


def test_closing_ends_them_whatever_they_are_at(start):
    processes = start(load_slowly)
    numbers = processes.process_numbers
    processes.submit(0, [(0, ScoringInput("1", ""))])
    processes.close()
    assert len(numbers) == 2
    wait_until(lambda: not any(map(is_alive, numbers)))


@pytest.mark.parametrize("others", [None, "glibc.malloc.tcache_count=7"])
def test_the_c_library_is_told_of_huge_pages_beside_what_the_user_told_it(
    start, monkeypatch, others
):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if others:
        monkeypatch.setenv("GLIBC_TUNABLES", others)
    (process,) = start(load_number, count=1).process_numbers
    with open(f"/proc/{process}/environ") as file:
        # The C library divides what it is told with zeros, where it stands.
        tunables = file.read().replace("\0", ":").partition("GLIBC_TUNABLES=")[2]
    expected = [others, "glibc.malloc.hugetlb=1"] if others else ["glibc.malloc.hugetlb=1"]
    assert tunables.split(":")[: len(expected)] == expected


PARENT = """
import sys, time
from export.bundle.preprocessing import Preprocessing
from export.scoring.decoding.decoder_processes import DecoderProcesses
from export.scoring.decoding.loading import LoadingSettings
from export.scoring.sources.input import ScoringInput
from tests.export.scoring.decoding.stand_ins import load_slowly
settings = LoadingSettings(Preprocessing(1, 1), load=load_slowly)
processes = DecoderProcesses(2, settings, (4, 2, 1, 1, 3), "float32", 1000)
processes.submit(0, [(0, ScoringInput("1", ""))])
print(processes._server._process.pid, *processes.process_numbers, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("kill_the_server_first", [False, True])
def test_they_end_with_a_process_that_is_killed(kill_the_server_first):
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as parent:
        server, *numbers = map(int, parent.stdout.readline().split())
        assert all(map(is_alive, [server, *numbers]))
        if kill_the_server_first:
            os.kill(server, signal.SIGKILL)
            numbers = numbers[1:]  # One that is at work ends behind its input.
        parent.kill()
        wait_until(lambda: not any(map(is_alive, [server, *numbers])))


HANGING_SCORER = """
import functools, signal
from absl import flags
import score
from export.scoring.decoding import batch_loader
from flags.program import run_program
from tests.export.scoring.decoding.stand_ins import load_slowly
batch_loader.FEWEST_FOR_PROCESSES = 1
batch_loader.LoadingSettings = functools.partial(batch_loader.LoadingSettings, load=load_slowly)
signal.signal(signal.SIGINT, signal.default_int_handler)  # A job put aside gets it ignored.
score.scoring.define(flags.FLAGS)
run_program(score.main)
"""


def children(process):
    """Numbers of the processes that a process started, and of those that these did."""
    with open(f"/proc/{process}/task/{process}/children") as file:
        numbers = list(map(int, file.read().split()))
    return numbers + [below for number in numbers for below in children(number)]


def test_ctrl_c_ends_a_job_whose_decoders_hang(tmp_path):
    model = write_channel_mean_model(tmp_path / "model.onnx")
    write_list(tmp_path, 3)
    flags = [f"--model={model}", f"--images={tmp_path}/list.txt", f"--output={tmp_path}/s.csv"]
    command = [sys.executable, "-c", HANGING_SCORER, *flags, "--decoders=2"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as job:
        wait_until(lambda: len(children(job.pid)) == 3)  # The server and two decoders.
        numbers = children(job.pid)
        time.sleep(0.3)
        os.killpg(job.pid, signal.SIGINT)
        said = job.stderr.read()  # Ends when all of them have.
    assert job.returncode == 130 and "Interrupted." in said and "Traceback" not in said, said
    assert not any(map(is_alive, numbers))

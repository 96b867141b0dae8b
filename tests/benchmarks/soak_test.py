"""The soak, for a second each: it scores, serves, and says how memory went."""

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
from absl import app
from PIL import Image

from benchmarks.memory import processes, soak
from benchmarks.memory.processes import ALL, WITHOUT_FILES, MemoryWatch
from tests.export.onnx_models import write_channel_mean_model
from tools.python_imports import REPOSITORY


@pytest.mark.slow
@pytest.mark.parametrize("most, exit_code", [("9", 0), ("-1", 1)])
def test_scoring_and_serving_are_watched(tmp_path, most, exit_code):
    pytest.importorskip("uvicorn", reason="pip install -r requirements-serve.txt")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (40, 30), (50, 128, 0)).save(tmp_path / "photos/1.png")
    model = write_channel_mean_model(tmp_path / "model.onnx")
    command = [sys.executable, "-m", "benchmarks.memory.soak", f"--model={model}"]
    command += [f"--images={tmp_path / 'photos'}", "--minutes=0.1", f"--most_growth={most}"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == exit_code, done.stderr
    for line, name in zip(done.stdout.splitlines(), ("score.py", "serve.py"), strict=True):
        pattern = rf"{name}: (\d+) images in [\d.]+ min, memory ([\d.]+) MiB early, ([\d.]+) MiB"
        images, early, late = map(float, re.match(pattern, line).groups())
        assert images >= 64 and 20.0 < early < 1000.0 and 20.0 < late < 1000.0
        tenths = [float(tenth) for tenth in line.partition("of the time ")[2].split()]
        assert len(tenths) == 10 and [tenths[1], tenths[9]] == pytest.approx([early, late], abs=0.1)


def test_memory_that_cannot_be_read_is_no_memory_that_stays():
    for seen in ([0] * 100, [0] * 50 + [1 << 20] * 50, [1 << 20] * 50 + [0] * 50):
        with pytest.raises(app.UsageError, match="smaps_rollup must be readable"):
            soak.show("score.py", 64, seen)


def test_memory_is_tried_before_an_hour_is_spent(monkeypatch):
    processes.require_readable_memory()
    monkeypatch.setattr(processes, "memory_of_all", lambda *_: 0)
    with pytest.raises(RuntimeError, match="reads as 0 bytes: .* must be readable"):
        soak.main([])


@pytest.mark.parametrize(
    "growths, exit_code",
    [((0.0, 0.02), 0), ((0.0, 8.0), 1), ((float("nan"), 8.0), 1), ((8.0,), 1), ((0.0,), 0)],
)
def test_growth_of_any_program_that_is_asked_for_fails(monkeypatch, growths, exit_code):
    left = iter(growths)
    program = ["serve.py", "score.py"][: len(growths)]
    monkeypatch.setattr(soak, "require_readable_memory", lambda: None)
    for name in ("soak_scoring", "soak_serving"):
        monkeypatch.setattr(soak, name, lambda _: ())
    monkeypatch.setattr(soak, "show", lambda name: next(left) if name in program else 1 / 0)
    monkeypatch.setattr(soak, "FLAGS", SimpleNamespace(most_growth=0.02, program=program))
    assert soak.main([]) == exit_code and not list(left)


def test_an_unrelated_process_with_the_same_libraries_changes_nothing():
    code = "import numpy; numpy.ones(1 << 20); print('taken', flush=True); input()"
    command = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == b"taken\n"
        alone = processes.memory_of_all(process.pid, WITHOUT_FILES)
        with subprocess.Popen(command, **pipes) as other:
            assert other.stdout.readline() == b"taken\n"
            own = processes.memory_of_all(process.pid, WITHOUT_FILES)
            assert own == pytest.approx(alone, rel=0.01) and alone > 8 << 20
            other.communicate(b"\n")
        process.communicate(b"\n")


@pytest.mark.parametrize("kinds", [ALL, WITHOUT_FILES])
def test_memory_that_a_process_takes_is_seen(kinds):
    code = "import sys; kept = b'1' * (100 << 20); print('taken', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "taken\n"
        with MemoryWatch(process.pid, 0.01, kinds) as watch:
            while not watch.seen:
                pass
        process.stdin.close()
    assert 100 << 20 <= watch.peak_bytes < 200 << 20

"""The largest batch: sizes in processes of their own, whose end by memory is no failure."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.vac_tf.tiny_backbones import add_tiny_backbones
from tools.python_imports import REPOSITORY
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.tuning.settings import TuningConfig
from vac_tf.training.step_memory import available_memory, host_memory
from vac_tf.tuning.batch_size import find_batch_size, format_batch_size
from vac_tf.tuning.speed import OutOfMemoryError, format_speed, measure_speed

# Stands for the program that measures a size: sizes up to LIMIT fit, others end as ENDING says.
MEASURING = """
import json, os, sys, time
limit, ending = int(sys.argv[1]), sys.argv[2]
flags = dict(flag.lstrip("-").split("=", 1) for flag in sys.argv[3:] if "=" in flag)
assert flags["mode"] == "speed" and "run_dir" not in flags
size, folder = int(flags.get("batch_size", 32)), flags["output_dir"]
if size > limit:
    exec(ending)
with open(os.path.join(folder, "speed.json"), "w") as file:
    json.dump({"images_per_second": 100.0 - size, "peak_memory": 2**20 * size}, file)
"""
FULL = "filled = b'1' * 2**30; time.sleep(60)"


@pytest.fixture
def training(tiny_settings):
    return TrainConfig(run_dir="never", **tiny_settings)


def found(tmp_path, training, limit, ending="sys.exit(4)", **settings):
    tuning = TuningConfig(mode="batch_size", output_dir=str(tmp_path / "tuned"), **settings)
    program = [sys.executable, "-c", MEASURING, str(limit), ending]
    return find_batch_size(tuning, training, program)


@pytest.mark.parametrize(
    "ending",
    ["sys.exit(4)", "os.kill(os.getpid(), 9)", "print('std::bad_alloc', flush=True); os.abort()"],
)
def test_what_the_memory_ends_does_not_fit(tmp_path, training, ending):
    result = found(tmp_path, training, 19, ending)
    assert result.largest == 19 and result.limit == "the memory"
    assert [size["batch_size"] for size in result.sizes if size["fits"]] == [8, 16, 18, 19]
    text = format_batch_size(result)
    assert "--batch_size=19" in text and "32  does not fit" in text
    assert "Fastest: --batch_size=8" in text
    with open(tmp_path / "tuned/batch_size.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["batch_size"]) for row in rows] == [8, 16, 18, 19, 20, 24, 32]
    written = json.loads((tmp_path / "tuned/batch_size.json").read_text())
    assert written["largest"] == 19 and written["sizes"] == result.sizes


def test_a_process_over_the_limit_is_killed(tmp_path, training):
    start = time.monotonic()
    result = found(tmp_path, training, 8, FULL, memory_limit=0.25)
    assert result.largest == 8
    assert time.monotonic() - start < 30


def test_no_more_images_than_there_are(tmp_path, training):
    result = found(tmp_path, training, 1000)
    assert result.largest == 48 and "the 48 training images" in format_batch_size(result)
    result = found(tmp_path, training, 1000, largest_batch=20)
    assert result.largest == 20 and "--largest_batch" in format_batch_size(result)


def test_nothing_that_fits_is_said(tmp_path, training):
    assert "No batch fits" in format_batch_size(found(tmp_path, training, 0))


def test_another_failure_ends_the_search_with_its_last_line(tmp_path, training):
    with pytest.raises(ValueError, match="A batch of 16 failed, .*exit code 3.*: No such image"):
        found(tmp_path, training, 8, "print('No such image', flush=True); sys.exit(3)")
    assert not (tmp_path / "tuned/batch_size.json").exists()


def test_steps_are_measured(tiny_settings, tiny_backbone, tmp_path):
    settings = tiny_settings | {"backbone": tiny_backbone}
    training = TrainConfig(run_dir=str(tmp_path / "never"), **settings)
    tuning = TuningConfig(mode="speed", output_dir=str(tmp_path / "tuned"), speed_steps=3)
    measured = measure_speed(tuning, training)
    assert measured["batch_size"] == 8
    seconds = measured["seconds_per_step"]
    assert measured["images_per_second"] == pytest.approx(8 / seconds)
    assert 2**26 < measured["peak_memory"] < host_memory()
    assert json.loads((tmp_path / "tuned/speed.json").read_text()) == measured
    assert f"batch of 8: {8 / seconds:.1f} images/s" in format_speed(measured)
    assert os.listdir(tmp_path) == ["tuned"]


def test_images_that_exceed_the_memory_are_said_to(tiny_settings, monkeypatch, tmp_path):
    add_tiny_backbones(monkeypatch)
    monkeypatch.setattr("vac_tf.training.step_memory.host_memory", lambda: 1000)
    settings = tiny_settings | {"backbone": "tiny", "run_dir": str(tmp_path / "never")}
    tuning = TuningConfig(mode="speed", output_dir=str(tmp_path / "tuned"))
    with pytest.raises(OutOfMemoryError, match="A step of 8 images does not fit"):
        measure_speed(tuning, TrainConfig(**settings))


def test_what_is_free_is_less_than_there_is():
    assert 0 < available_memory() < host_memory()


@pytest.mark.slow
def test_the_program_finds_a_batch_and_is_stopped_with_its_children(tiny_settings, tmp_path):
    names = ("data_dir", "scenes_train_images", "scenes_image_size", "image_size")
    flags = [f"--{name}={tiny_settings[name]}" for name in names]
    command = [sys.executable, "tune.py", "--mode=batch_size", "--speed_steps=1", *flags]
    where = f"--output_dir={tmp_path / 'tuned'}"
    started = subprocess.Popen([*command, where], cwd=REPOSITORY, stderr=subprocess.PIPE)
    while not (tmp_path / "tuned/batch_32/log.txt").exists():
        assert started.poll() is None, started.stderr.read()
        time.sleep(0.1)
    started.send_signal(signal.SIGINT)
    assert started.wait() == 130
    assert b"Interrupted" in started.stderr.read()
    assert not _processes_with(where.partition("=")[2])
    done = subprocess.run([*command, where], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Largest that fits: --batch_size=48" in done.stdout


def _processes_with(word):
    found = []
    for number in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/cmdline", "rb") as file:
                found += [number] if word.encode() in file.read() else []
        except OSError:
            continue
    return found

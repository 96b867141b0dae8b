"""Benchmarks of small samples: what they measure, and that the slow step is the one they name."""

import functools
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from export.scoring.benchmark import measure, steps
from export.scoring.benchmark.hill_climb import Setting, Trial
from export.scoring.benchmark.measure import benchmark
from export.scoring.config import ScoringConfig
from export.scoring.decoding import batch_loader, decoder_processes
from export.scoring.decoding.loading import LoadingSettings
from export.scoring.output import writers
from export.scoring.runtime import network_devices
from export.scoring.runtime.input_buffer import InputBuffer
from export.scoring.sources import image_file
from tests.export.onnx_models import description, write_channel_mean_model
from tests.export.scoring.benchmark import stand_ins
from tools.python_imports import REPOSITORY


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Measurements as short as they can be."""
    monkeypatch.setattr(measure, "PIECES_OF_A_DECODER", 3)
    monkeypatch.setattr(steps, "NETWORK_SECONDS", 0.0)
    monkeypatch.setattr(steps, "ROWS", 400)  # Of fewer the files that are made would be most.


@pytest.fixture
def no_trials(monkeypatch):
    """The setting of the flags is the best, without any being tried."""
    monkeypatch.setattr(measure, "climb", lambda _, start, *__: (start, {start: Trial(1.0, 1)}))


@pytest.fixture
def flags(tmp_path):
    generator = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(6):
        small = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        small.resize((80, 60)).save(tmp_path / "photos" / f"{number}.jpg")
    (tmp_path / "photos" / "broken.jpg").write_text("no image")
    size = description(height=16, width=16)
    model = write_channel_mean_model(tmp_path / "model.onnx", size)
    return {"model": model, "images": str(tmp_path / "photos"), "batch_size": 2}


def test_a_small_run(flags, tmp_path):
    found = benchmark(ScoringConfig(**flags, benchmark=True, benchmark_images=7))
    assert found.images == 6 and found.left_out == 1
    assert found.best in found.trials
    assert found.trials[found.best].peak_bytes > 2**20
    figures = found.figures
    assert figures.decoders == found.best.decoders and not figures.on_gpu
    assert figures.loading.decoder_seconds > 0.0 and not figures.loading.in_processes
    assert min(figures.loading.images_per_second, figures.files_per_second) > 0.0
    assert min(figures.network.call_seconds) > 0.0 and figures.network.images_per_second > 0.0
    assert 0.0 < figures.rows.processor_seconds < figures.job.processor_seconds
    assert 0.0 <= figures.job.network_idle <= 1.0 and 0.0 <= figures.job.lock_wait <= 1.0
    assert found.fast_decode.decisions == 18 and found.fast_decode.largest_difference > 0.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "photos"]


def test_it_measures_the_job_of_the_flags(flags, tmp_path, monkeypatch, no_trials):
    """With its devices, heatmaps, logits, format and disk, and without a trace."""
    monkeypatch.setattr("export.scoring.runtime.device_choice.available_cores", lambda: 2)
    output = tmp_path / "there" / "scores.jsonl"
    output.parent.mkdir()
    config = ScoringConfig(
        **flags,
        benchmark=True,
        output=str(output),
        heatmaps="overlays",
        logits=True,
        devices="cpu:2",
        metrics_port=9100,  # Of the job, not of its benchmark.
        metrics_host="0.0.0.0",
    )
    found = benchmark(config)
    assert "CPUExecutionProvider on 2 devices" in str(found)
    assert found.figures.rows.images_per_second > 0.0
    assert not list(output.parent.iterdir())
    (tmp_path / "a_file").touch()
    wrong = ScoringConfig(**flags, benchmark=True, output=str(tmp_path / "a_file" / "scores.csv"))
    with pytest.raises(ValueError, match="a_file' is no folder"):
        benchmark(wrong)


def test_each_setting_has_a_session_and_a_peak_of_its_own(flags, monkeypatch):
    events = []
    open_session = network_devices.NetworkSession

    def record(name, result=None):
        return lambda *arguments: events.append(name) or result

    def open_and_record(*arguments):
        events.append("open")
        return open_session(*arguments)

    monkeypatch.setattr(measure, "forget_peak", record("forget"))
    monkeypatch.setattr(measure, "peak_bytes", record("peak", 1))
    monkeypatch.setattr(network_devices, "NetworkSession", open_and_record)
    found = benchmark(ScoringConfig(**flags, benchmark=True))
    trials = events[events.index("peak") - 2 :]
    assert trials == ["open", "forget", "peak"] * len(found.trials) + ["open"]


def test_every_step_reads_and_decodes_as_the_job_does(flags, monkeypatch, no_trials):
    limits, fast = set(), set()
    read, cut_out = image_file.read_image_file, image_file.cut_out

    def read_and_record(path, member, limit=None):
        limits.add(limit)
        return read(path, member)

    def cut_out_and_record(data, preprocessing, box):
        fast.add(preprocessing.fast_decode)
        return cut_out(data, preprocessing, box)

    monkeypatch.setattr(image_file, "read_image_file", read_and_record)
    monkeypatch.setattr(steps, "read_image_file", read_and_record)
    monkeypatch.setattr(image_file, "cut_out", cut_out_and_record)
    monkeypatch.setattr(measure, "measure_fast_decode", lambda *_, **__: None)  # Does both.
    config = ScoringConfig(**flags, benchmark=True, private_redirects=True, fast_decode=True)
    benchmark(config)
    assert limits == {config.read_limits} and fast == {True}


def test_decoders_are_those_of_the_whole_job(flags, monkeypatch, no_trials):
    """However few of its images are measured."""
    monkeypatch.setattr(batch_loader, "FEWEST_FOR_PROCESSES", 5)
    config = ScoringConfig(**flags, benchmark=True, benchmark_images=2, decoders=2)
    loading = benchmark(config).figures.loading
    assert loading.in_processes
    assert loading.decoder_seconds > 0.0 and loading.main_seconds > 0.0


def computing(function):
    def both(*arguments):
        stand_ins.compute()
        return function(*arguments)

    return both


def waiting(function, seconds=stand_ins.SECONDS):
    def both(*arguments):
        time.sleep(seconds)
        return function(*arguments)

    return both


waiting_long = functools.partial(waiting, seconds=stand_ins.LONG_SECONDS)


@pytest.mark.slow  # It measures: on a machine that is busy with other work another step may limit.
@pytest.mark.parametrize(
    ("load", "place", "slow", "expected"),
    [
        (stand_ins.load_computing, None, None, "decoding"),
        (stand_ins.load_waiting, None, None, "reading"),
        (stand_ins.load_at_once, (InputBuffer, "run"), waiting_long, "network"),
        (stand_ins.load_at_once, (writers._JsonLinesRows, "_write_row"), waiting, "rows"),
        (stand_ins.load_at_once, (decoder_processes, "decode"), computing, "main process"),
    ],
    ids=["decoding", "reading", "network", "rows", "main process"],
)
def test_the_slow_step_is_named(
    flags, tmp_path, monkeypatch, no_trials, load, place, slow, expected
):
    monkeypatch.setattr(batch_loader, "FEWEST_FOR_PROCESSES", 1)
    monkeypatch.setattr(
        batch_loader, "LoadingSettings", functools.partial(LoadingSettings, load=load)
    )
    if place:
        monkeypatch.setattr(*place, slow(getattr(*place)))
    output = str(tmp_path / "scores.jsonl")
    found = benchmark(ScoringConfig(**flags, output=output, benchmark=True, decoders=2))
    assert found.figures.loading.in_processes
    assert found.bottleneck.step == expected, str(found)
    assert found.best == Setting(2, 2)


def test_images_that_cannot_be_loaded_are_no_sample(flags, tmp_path):
    (tmp_path / "list.txt").write_text("a.jpg\nb.jpg\n")
    config = ScoringConfig(**flags | {"images": str(tmp_path / "list.txt")}, benchmark=True)
    with pytest.raises(ValueError, match="None of 2 images of .* can be loaded"):
        benchmark(config)


def test_the_program_prints_flags_that_it_takes(flags):
    command = [sys.executable, str(REPOSITORY / "score.py"), "--benchmark", "--benchmark_images=4"]
    flags = flags | {"batch_size": 4}
    command += [f"--{name}={value}" for name, value in flags.items()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("Flags to use: --batch_size=")
    values = dict(flag.strip("-").split("=") for flag in last.split()[3:])
    ScoringConfig(**flags | {name: int(value) for name, value in values.items()}, output="o.csv")

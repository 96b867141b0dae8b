"""Whole jobs on several devices: rows, files and what is said of them."""

import os
import random
import signal
import subprocess
import sys
import time

import onnx
import pytest

from export.scoring.benchmark.measure import benchmark
from export.scoring.config import ScoringConfig
from export.scoring.engine.assembly import merge
from export.scoring.job import score
from export.scoring.progress.line import Progress
from export.scoring.progress.metrics import JobMetrics
from export.scoring.retry import retry_errors
from export.scoring.runtime import device_choice
from export.scoring.runtime.input_buffer import InputBuffer
from export.scoring.runtime.network_devices import DeviceError
from tests.export.onnx_models import convolution_model
from tests.export.scoring.small_jobs import dying_at_row, write_list
from tools.python_imports import REPOSITORY

TWO, ONE = {"devices": "cpu:2"}, {}


@pytest.fixture(autouse=True)
def cores(monkeypatch):
    monkeypatch.setattr(device_choice, "available_cores", lambda: 8)


@pytest.fixture
def job(tmp_path):
    """Flags of a job of 90 rows, some without scores, in 23 batches."""
    onnx.save(convolution_model(), tmp_path / "model.onnx")
    images = write_list(tmp_path, 30)
    return {"model": str(tmp_path / "model.onnx"), "images": images, "batch_size": 4}


def run(job, output, **changes):
    return score(ScoringConfig(**(job | {"output": str(output), "threads": 2} | changes)))


def files(output):
    """All that a job left, by name behind that of the output."""
    paths = (path for path in output.parent.rglob(f"{output.name}*/**/*") if path.is_file())
    return {str(path.relative_to(output.parent)): path.read_bytes() for path in [output, *paths]}


@pytest.mark.parametrize(
    "name, heatmaps", [("s.parquet", "peaks"), ("s.csv", "none"), ("s.jsonl", "maps")]
)
def test_workers_leave_the_bytes_of_one(job, tmp_path, name, heatmaps):
    left = []
    for workers in ("", "cpu:2", "cpu:3"):
        folder = tmp_path / f"with{workers}"
        folder.mkdir()
        run(job, folder / name, devices=workers, heatmaps=heatmaps, logits=True)
        left.append(files(folder / name))
    assert (len(left[0]) > 30) == (heatmaps == "maps")
    assert all(other == left[0] for other in left)


@pytest.mark.parametrize("first, then", [(ONE, TWO), (TWO, ONE)])
def test_a_job_that_died_goes_on_with_the_other_number_of_workers(
    job, tmp_path, monkeypatch, first, then
):
    job = job | {"rows_per_part": 8, "decoders": 1}
    run(job, tmp_path / "whole.jsonl", heatmaps="peaks")
    output = tmp_path / "s.jsonl"
    with dying_at_row(monkeypatch, 60):
        run(job, output, heatmaps="peaks", **first)
    assert not output.exists()
    report = run(job, output, heatmaps="peaks", **then)
    assert 0 < report.resumed < 90
    assert output.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.slow
def test_a_job_that_is_killed_goes_on_with_the_other_number_of_workers(job, tmp_path):
    job = job | {"rows_per_part": 4, "decoders": 1, "output": str(tmp_path / "s.csv")}
    run(job, tmp_path / "whole.csv")
    flags = [f"--{name}={value}" for name, value in job.items()]
    source = (
        "import sys, time\nfrom export.scoring.decoding import loading\n"
        "from export.scoring.runtime import device_choice\nfrom absl import flags\n"
        "from flags.program import run_program\nimport score\n"
        "device_choice.available_cores = lambda: 8\n"
        "load = loading.load_view\n"
        "loading.load_view = lambda *a: time.sleep(0.005) or load(*a)\n"
        "score.scoring.define(flags.FLAGS)\nrun_program(score.main)\n"
    )
    generator, killed = random.Random(0), 0
    for devices in ("cpu:2", "", "cpu:3", "cpu:2"):
        command = [sys.executable, "-c", source, *flags, f"--devices={devices}"]
        process = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE)
        before = parts(tmp_path)
        while process.poll() is None and parts(tmp_path) < before + generator.randint(1, 4):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), said
        killed += process.returncode != 0
    assert killed >= 2
    report = run(job, tmp_path / "s.csv", devices="cpu:2")
    assert report.resumed > 0
    assert (tmp_path / "s.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def parts(folder):
    return len(list(folder.glob("s.csv.parts/*/part-*.json")))


def test_shards_and_rows_scored_again_may_use_several_devices(job, tmp_path):
    run(job, tmp_path / "whole.csv")
    output = tmp_path / "s.csv"
    run(job, output, shard="1/2", **TWO)
    run(job, output, shard="2/2", devices="cpu:3")
    merge(str(output))
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    config = ScoringConfig(**job, output=str(output), retry_errors="missing", **TWO)
    assert retry_errors(config).retried == 30
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_device_that_is_lost_ends_the_job_which_goes_on(job, tmp_path, monkeypatch):
    job = job | {"rows_per_part": 12}
    run(job, tmp_path / "whole.csv")
    original, calls = InputBuffer.run, []

    def lose(self, outputs):
        calls.append(None)
        if len(calls) == 15:
            raise RuntimeError("CUDA failure 719: unspecified launch failure")
        return original(self, outputs)

    with monkeypatch.context() as patch:
        patch.setattr(InputBuffer, "run", lose)
        message = "^cpu-[12] cannot compute the network: CUDA failure 719.*same command goes on"
        with pytest.raises(DeviceError, match=message) as raised:
            run(job, tmp_path / "s.csv", **TWO)
    assert raised.value.exit_code == 3 and not (tmp_path / "s.csv").exists()
    assert 0 < parts(tmp_path) < 6
    report = run(job, tmp_path / "s.csv", **TWO)
    assert report.resumed > 0
    assert (tmp_path / "s.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_the_report_says_the_share_of_each_device(job, tmp_path):
    report = run(job, tmp_path / "s.csv", **TWO)
    assert sum(report.images_by_device.values()) == report.counts["ok"] == 60
    assert all(report.images_by_device.values())
    shares = [round(100 * count / 60) for count in report.images_by_device.values()]
    said = f"2 devices (cpu-1 {shares[0]} %, cpu-2 {shares[1]} %) ->"
    assert f"on CPUExecutionProvider, {said}" in str(report)
    assert "devices" not in str(run(job, tmp_path / "one.csv"))


def test_the_progress_line_says_the_least_and_the_largest_share():
    images = {"cuda:0": 0, "cuda:1": 0}
    progress = Progress(100, images_by_device=images)
    assert "devices" not in progress.line(1.0)
    images.update({"cuda:0": 30, "cuda:1": 10})
    assert progress.line(1.0).endswith(" left, 2 devices (25 to 75 % each)")
    assert "devices" not in Progress(100, images_by_device={"cpu": 3}).line(1.0)


def test_the_metrics_count_the_images_of_each_device():
    pytest.importorskip("prometheus_client")  # Of requirements-metrics.txt.
    images = {"cuda:0": 0, "cuda:1": 4}
    metrics = JobMetrics("unused.prom", 0, 9, {}, {}, images)
    images["cuda:0"] = 5
    text = metrics.text().decode()
    for device, count in images.items():
        assert f'vac_scoring_device_images_total{{device="{device}"}} {count}.0' in text


def test_the_benchmark_measures_all_devices_together(job):
    text = str(benchmark(ScoringConfig(**job, benchmark=True, benchmark_images=12, **TWO)))
    assert "CPUExecutionProvider on 2 devices" in text


@pytest.mark.parametrize(
    "flag, exit_code, message",
    [
        ("--devices=0,0", 2, "names GPU 0 twice"),
        ("--devices=all", 3, "No NVIDIA GPU is visible"),
    ],
)
def test_the_program_ends_with_one_message(job, tmp_path, flag, exit_code, message):
    flags = [f"--{name}={value}" for name, value in job.items()]
    done = subprocess.run(
        [sys.executable, "score.py", *flags, f"--output={tmp_path / 's.csv'}", flag],
        cwd=REPOSITORY,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == exit_code
    (line,) = done.stderr.splitlines()
    assert message in line
    assert not list(tmp_path.glob("s.csv*"))

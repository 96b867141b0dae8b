"""The benchmark of a scoring host: its search, its clocks, its text, and one small run."""

import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from export.scoring.benchmark import measure as benchmark_module
from export.scoring.benchmark import stages as benchmark_stages
from export.scoring.benchmark.fast_decode_effect import FastDecodeEffect
from export.scoring.benchmark.hill_climb import Setting, Trial, climb
from export.scoring.benchmark.measure import benchmark
from export.scoring.benchmark.report import BenchmarkReport
from export.scoring.benchmark.stages import STAGES, StageClock, StageTimes, batches
from export.scoring.config import ScoringConfig
from export.scoring.runtime import network_devices
from export.scoring.sources import image_file
from tests.export.onnx_models import description, write_channel_mean_model
from tools.python_imports import REPOSITORY

ROOT = REPOSITORY
MOST = Setting(64, 8)
GIB = 2**30


def hill(best, bytes_per_image=0):
    """A host that is fastest at `best`, and the more steps away the slower."""

    def measure(setting):
        measure.asked.append(setting)
        steps = abs(np.log2(setting.batch_size / best.batch_size))
        steps += abs(np.log2(setting.decoders / best.decoders))
        return Trial(1000.0 / (1.0 + steps), GIB + bytes_per_image * setting.batch_size)

    measure.asked = []
    return measure


@pytest.mark.parametrize("best", [(64, 8), (1, 1), (8, 2), (16, 8), (64, 1)])
@pytest.mark.parametrize("start", [(8, 2), (1, 8), (64, 8)])
def test_the_top_of_a_hill_is_found_and_nothing_is_tried_twice(best, start):
    measure = hill(Setting(*best))
    found, tried = climb(measure, Setting(*start), MOST, memory_limit=2 * GIB)
    assert found == Setting(*best)
    assert len(set(measure.asked)) == len(measure.asked) == len(tried)
    assert all(1 <= s.batch_size <= 64 and 1 <= s.decoders <= 8 for s in tried)


def test_gains_within_the_noise_do_not_move_the_setting():
    speeds = itertools.count(100)
    found, _ = climb(lambda s: Trial(next(speeds), 0), Setting(8, 2), MOST, memory_limit=GIB)
    assert found == Setting(8, 2)


def test_the_memory_limit_bounds_what_is_tried_and_chosen():
    measure = hill(MOST, bytes_per_image=2**24)
    limit = GIB + 20 * 2**24  # 16 images fit, 32 do not.
    found, tried = climb(measure, Setting(4, 8), MOST, limit)
    assert found == Setting(16, 8)
    assert all(s.batch_size <= 16 for s in tried)
    # From the start the growth is not known: what turns out too large is not chosen.
    found, tried = climb(hill(MOST, bytes_per_image=2**24), Setting(16, 8), MOST, limit)
    assert found == Setting(16, 8) and Setting(32, 8) in tried


def test_a_start_beyond_the_memory_limit_is_halved_until_it_fits():
    measure = hill(MOST, bytes_per_image=2**24)
    found, tried = climb(measure, Setting(64, 4), MOST, GIB + 20 * 2**24)
    assert found == Setting(16, 8)
    assert list(tried)[:3] == [Setting(64, 4), Setting(32, 4), Setting(16, 4)]
    assert all(trial.peak_bytes <= GIB + 20 * 2**24 for trial in list(tried.values())[2:])


def test_where_nothing_fits_the_smallest_is_found_and_the_text_says_so():
    found, tried = climb(hill(MOST), Setting(8, 4), MOST, memory_limit=GIB // 2)
    assert found == Setting(1, 1)
    whole = dataclasses.replace(report(), best=found, trials=tried, memory_limit=GIB // 2)
    assert str(whole).endswith(
        "stays within 512 MiB: raise --memory_limit_mb, or use a smaller network."
    )


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
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    before, while_held, after = map(int, done.stdout.split())
    assert while_held > before + 2**25
    if after == while_held:
        pytest.skip("/proc/self/clear_refs cannot be written here")
    assert after < before + 2**25


class FakeClock:
    """Each look at it is one second later."""

    def __init__(self):
        self.seconds = 0.0

    def __call__(self):
        self.seconds += 1.0
        return self.seconds


def test_stage_clock_adds_up_and_keeps_the_order():
    with StageClock(1, FakeClock()) as clock:
        results, seconds = clock.map("read", lambda x: x * x, [1, 2, 3])
        result, call = clock.call("infer", lambda: "scores")
        clock.call("infer", lambda: "scores")
    assert results == [1, 4, 9] and result == "scores"
    assert seconds == [1.0] * 3 and call == 1.0
    # From the first look to the last: two for each item, and one before them.
    assert clock.times.seconds == dict.fromkeys(STAGES, 0.0) | {"read": 7.0, "infer": 2.0}


def test_batches_hold_every_item_once():
    assert [list(b) for b in batches([1, 2, 3, 4, 5], 2)] == [[1, 2], [3, 4], [5]]


def report(provider="CPUExecutionProvider", **seconds):
    stages = StageTimes(100, dict.fromkeys(STAGES, 1.0) | seconds, [0.01] * 100, [0.3] * 4)
    start, best = Setting(32, 2), Setting(64, 4)
    trials = {start: Trial(20.0, GIB), best: Trial(25.0, 2 * GIB)}
    effect = FastDecodeEffect(1000, 12, 0.25, 1.5)
    limit = 4 * GIB
    return BenchmarkReport(provider, start, stages, trials, best, limit, effect, left_out=3)


@pytest.mark.parametrize("stage", STAGES)
def test_on_a_cpu_the_stage_that_takes_most_time_is_the_bottleneck(stage):
    assert report(**{stage: 1.5}).bottleneck == stage


def test_beside_a_gpu_loading_is_free_until_it_takes_longer():
    cuda = "CUDAExecutionProvider"
    assert report(cuda, decode=4.0, infer=7.0).bottleneck == "infer"
    assert report(cuda, decode=4.0, infer=5.0).bottleneck == "decode"


def test_the_text_says_what_to_do():
    text = str(report(decode=6.0))
    assert "decode              16.7          60.0 %" in text
    assert "call the network  p50 300.0 ms  p95 300.0 ms  p99 300.0 ms" in text
    assert "--batch_size=64 --decoders=4                25.0      2048 MiB  <- best" in text
    assert "changes 12 of 1000 decisions (1.20 %)" in text
    assert "Bottleneck: decode. What helps: more --decoders" in text
    assert text.endswith("Flags to use: --batch_size=64 --decoders=4")
    assert "3 images could not be loaded" in text


def test_fast_decode_is_advised_only_where_it_is_not_used():
    slow = report(decode=6.0)
    assert "or smaller files, or --fast_decode." in str(slow)
    fast = str(dataclasses.replace(slow, uses_fast_decode=True))
    assert "or smaller files." in fast
    assert fast.endswith("Flags to use: --batch_size=64 --decoders=4 --fast_decode")
    no_gain = dataclasses.replace(slow, fast_decode=FastDecodeEffect(1000, 0, 0.0, 1.0))
    assert "or smaller files." in str(no_gain)


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
    assert found.stages.images == 6 and found.left_out == 1
    assert len(found.stages.load_seconds) == 6 and len(found.stages.call_seconds) == 3
    assert all(seconds > 0.0 for seconds in found.stages.seconds.values())
    assert found.best in found.trials
    assert found.trials[found.best].peak_bytes > 2**20
    assert found.fast_decode.decisions == 18 and found.fast_decode.largest_difference > 0.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "photos"]


def test_each_setting_has_a_session_and_a_peak_of_its_own(flags, monkeypatch):
    events = []
    open_session = network_devices.NetworkSession

    def record(name, result=None):
        return lambda *arguments: events.append(name) or result

    def open_and_record(*arguments):
        events.append("open")
        return open_session(*arguments)

    monkeypatch.setattr(benchmark_module, "forget_peak", record("forget"))
    monkeypatch.setattr(benchmark_module, "peak_bytes", record("peak", 1))
    monkeypatch.setattr(network_devices, "NetworkSession", open_and_record)
    found = benchmark(ScoringConfig(**flags, benchmark=True))
    trials = events[events.index("forget") :]
    assert trials == ["forget", "open", "peak"] * len(found.trials)


def test_stages_decode_as_the_job_does(flags, monkeypatch):
    seen = set()
    original = benchmark_stages.cut_out

    def cut_out(data, preprocessing, box):
        seen.add(preprocessing.fast_decode)
        return original(data, preprocessing, box)

    monkeypatch.setattr(benchmark_stages, "cut_out", cut_out)
    benchmark(ScoringConfig(**flags, benchmark=True, fast_decode=True))
    assert seen == {True}


def test_every_step_reads_within_the_limits_of_the_job(flags, monkeypatch):
    seen = []
    original = image_file.read_image_file

    def read(path, member, limits=None):
        seen.append(limits)
        return original(path, member)

    monkeypatch.setattr(image_file, "read_image_file", read)
    monkeypatch.setattr(benchmark_stages, "read_image_file", read)
    config = ScoringConfig(**flags, benchmark=True, private_redirects=True)
    benchmark(config)
    assert len(seen) > 7 + 6 + 12 and set(seen) == {config.read_limits}


def test_only_whole_batches_are_timed(flags):
    config = ScoringConfig(**flags | {"batch_size": 4}, benchmark=True)
    found = benchmark(config)
    assert found.stages.images == 4 and len(found.stages.call_seconds) == 1


def test_images_that_cannot_be_loaded_are_no_sample(flags, tmp_path):
    (tmp_path / "list.txt").write_text("a.jpg\nb.jpg\n")
    config = ScoringConfig(**flags | {"images": str(tmp_path / "list.txt")}, benchmark=True)
    with pytest.raises(ValueError, match="None of 2 images of .* can be loaded"):
        benchmark(config)


def test_the_program_prints_flags_that_it_takes(flags):
    command = [sys.executable, str(ROOT / "score.py"), "--benchmark", "--benchmark_images=4"]
    command += [f"--{name}={value}" for name, value in flags.items()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("Flags to use: --batch_size=")
    values = dict(flag.strip("-").split("=") for flag in last.split()[3:])
    ScoringConfig(**flags | {name: int(value) for name, value in values.items()}, output="o.csv")

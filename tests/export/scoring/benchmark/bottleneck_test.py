"""The step that limits, from figures alone."""

import math

import numpy as np
import pytest

from export.scoring.benchmark.bottleneck import (
    DECODING,
    MAIN_PROCESS,
    NETWORK,
    READING,
    ROWS,
    find_bottleneck,
)
from export.scoring.benchmark.figures import (
    Figures,
    JobFigures,
    LoadingFigures,
    NetworkFigures,
    RowFigures,
)


def figures(**changes):
    """A GPU that 8 of 16 cores cannot feed, with some of this changed."""
    values = {
        "cores": 16,
        "on_gpu": True,
        "decoders": 8,
        "files": 50_000.0,
        "loading": 2500.0,
        "decoder_seconds": 0.0032,
        "handing_over": 0.00002,
        "blocked": 0.02,
        "main_busy": 0.05,
        "loading_lock": 0.0,
        "in_processes": True,
        "network": 12_000.0,
        "rows": 100_000.0,
        "row_seconds": 0.00001,
        "job": 2400.0,
        "job_seconds": 0.0034,
        "idle": 0.8,
    } | changes
    f = type("Values", (), values)
    loading = LoadingFigures(
        f.loading,
        f.decoder_seconds,
        f.handing_over,
        f.blocked,
        f.main_busy,
        f.loading_lock,
        f.in_processes,
    )
    network, rows = NetworkFigures(f.network, [0.01]), RowFigures(f.rows, f.row_seconds)
    job = JobFigures(f.job, f.job_seconds, f.idle)
    return Figures(f.cores, f.on_gpu, f.decoders, f.files, loading, network, rows, job)


CPU = {"on_gpu": False, "cores": 2, "decoders": 2, "idle": 0.02}


def step(**changes):
    return find_bottleneck(figures(**changes)).step


def test_decoders_that_do_not_feed_a_gpu():
    found = find_bottleneck(figures(), fast_decode_gain=1.5)
    assert found.step == DECODING
    assert str(found) == (
        "Decoding limits: 8 decoder processes load 2500 images/s (3.2 CPU ms an image), the network"
        " could take 12000. What helps: 23 more cores, --fast_decode (1.50 times as fast), or"
        " smaller files."
    )


def test_cores_that_are_there_are_advised_before_more_of_them():
    many = find_bottleneck(figures(cores=64))
    assert "--decoders=39" in many.advice and "more core" not in many.advice


def test_fast_decode_is_advised_where_it_gains():
    assert "fast_decode" not in str(find_bottleneck(figures()))
    assert "fast_decode" not in str(find_bottleneck(figures(), fast_decode_gain=1.01))
    assert "fast_decode" not in str(find_bottleneck(figures(idle=0.01), fast_decode_gain=3.0))


@pytest.mark.parametrize("seed", range(20))
def test_a_gpu_limits_exactly_when_it_hardly_waits(seed):
    generator = np.random.default_rng(seed)
    speeds = dict(zip(("loading", "network", "rows"), generator.uniform(1e3, 1e5, 3), strict=True))
    assert step(**speeds, idle=0.02) == NETWORK
    assert step(**speeds, idle=0.5) != NETWORK


@pytest.mark.parametrize("seed", range(20))
def test_the_slowest_step_is_named_and_another_one_once_it_is_fast(seed):
    generator = np.random.default_rng(seed)
    names = {"loading": DECODING, "network": NETWORK, "rows": ROWS, "files": READING}
    speeds = dict(zip(names, generator.uniform(1e2, 1e4, 4), strict=True))
    fast_main = {"handing_over": 1e-9, "row_seconds": 1e-9}
    idle_cores = CPU | {"job": 1.0, "job_seconds": 0.01}  # Of which none is a bottleneck.
    slowest = min(speeds, key=speeds.get)
    assert step(**speeds, **fast_main, **idle_cores) == names[slowest]
    speeds[slowest] = math.inf
    second = min(speeds, key=speeds.get)
    assert step(**speeds, **fast_main, **idle_cores) == names[second]


@pytest.mark.parametrize(
    ("decoder_seconds", "job_seconds", "row_seconds", "expected"),
    [
        (0.003, 0.040, 0.00001, NETWORK),
        (0.003, 0.004, 0.00001, DECODING),
        (0.003, 0.010, 0.006, ROWS),
    ],
)
def test_steps_that_share_busy_cores(decoder_seconds, job_seconds, row_seconds, expected):
    """Whatever each gives alone: it had all cores then."""
    seconds = {"decoder_seconds": decoder_seconds, "row_seconds": row_seconds}
    busy = CPU | {"job_seconds": job_seconds, "job": 1.9 / job_seconds}
    for network in (20.0, 20_000.0):
        assert step(**busy, **seconds, network=network, loading=600.0) == expected


def test_decoders_that_wait_lack_files_and_not_cores():
    found = find_bottleneck(figures(blocked=0.9))
    assert found.step == READING
    assert "wait for 90 % of their time" in found.reason
    assert "more --decoders than cores" in found.advice
    assert step(blocked=0.3) == DECODING
    assert step(blocked=None) == DECODING  # The system does not say.
    assert step(files=400.0) == READING


def test_a_main_process_that_hands_out_no_faster():
    slow = {"handing_over": 0.0003, "main_busy": 0.75}
    found = find_bottleneck(figures(**slow, blocked=0.7))
    assert found.step == MAIN_PROCESS
    assert "at most 3226 images/s" in found.reason and "--shard" in found.advice
    assert step(**slow, blocked=None) == MAIN_PROCESS
    assert step(**slow, blocked=0.1) == DECODING  # They have enough to do.


def test_no_more_images_than_one_interpreter_has_time_for():
    """Also where each of its threads alone keeps up."""
    fast = {"loading": 20_000.0, "rows": 30_000.0, "handing_over": 0.000024}
    assert step(**fast, row_seconds=0.000020) == DECODING
    assert step(**fast, row_seconds=0.000031) == ROWS


def test_rows_that_are_written_slowly():
    found = find_bottleneck(figures(rows=900.0, row_seconds=0.001))
    assert found.step == ROWS and "--output" in found.advice
    assert step(rows=900.0) == ROWS  # A slow disk takes no processor.


def test_threads_that_wait_for_each_other():
    threads = {"in_processes": False, "handing_over": 0.0, "loading": 700.0}
    found = find_bottleneck(figures(**threads, loading_lock=0.8))
    assert found.step == MAIN_PROCESS and "--decoders=2" in found.advice
    assert "8 decoder threads" in found.reason
    assert step(**threads, loading_lock=0.1) == DECODING


def test_advice_fits_the_host():
    assert "a GPU" in find_bottleneck(figures(**CPU, job_seconds=0.8, job=2.4)).advice
    assert "a GPU" not in find_bottleneck(figures(idle=0.0)).advice
    alone = find_bottleneck(figures(**CPU | {"decoders": 1}, job=600.0, job_seconds=0.0033))
    assert alone.step == DECODING and "1 decoder process load" in alone.reason
    assert "which the network shares" in alone.advice

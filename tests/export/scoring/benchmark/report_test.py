"""The text of a benchmark."""

import dataclasses

from export.scoring.benchmark.bottleneck import find_bottleneck
from export.scoring.benchmark.fast_decode_effect import FastDecodeEffect
from export.scoring.benchmark.hill_climb import Setting, Trial
from export.scoring.benchmark.report import BenchmarkReport
from tests.export.scoring.benchmark.bottleneck_test import figures

GIB = 2**30
START, BEST = Setting(32, 4), Setting(64, 8)


def report(**changes):
    return BenchmarkReport(
        processor="Abacus 9",
        provider="CUDAExecutionProvider",
        images=256,
        figures=figures(**changes),
        trials={START: Trial(20.0, GIB), BEST: Trial(25.0, 2 * GIB)},
        best=BEST,
        memory_limit=4 * GIB,
        fast_decode=FastDecodeEffect(1000, 12, 0.25, 1.5),
        left_out=3,
    )


def test_the_text_says_where_it_was_measured_what_waits_and_what_to_do():
    text = str(report())
    assert text.startswith("256 images on 16 cores of Abacus 9, CUDAExecutionProvider; 3 images")
    assert "load, decoder processes                   2500.0              3.22" in text
    assert "Decoders wait for files, memory or work 2.0 % of their time" in text
    assert "Loading takes 5.0 % of a core in the main process" in text
    assert "the network waits for images 80.0 % of its time" in text
    assert "call the network  p50 10.0 ms  p95 10.0 ms  p99 10.0 ms" in text
    assert "--batch_size=64 --decoders=8                25.0      2048 MiB  <- best" in text
    assert "changes 12 of 1000 decisions (1.20 %)" in text
    assert str(find_bottleneck(figures(), 1.5)) in text
    assert text.endswith("Flags to use: --batch_size=64 --decoders=8")


def test_fast_decode_is_advised_only_where_it_is_not_used_and_changes_pixels():
    assert "or smaller files" in str(report()) and "--fast_decode (1.50" in str(report())
    used = str(dataclasses.replace(report(), uses_fast_decode=True))
    assert "--fast_decode (1.50" not in used
    assert used.endswith("Flags to use: --batch_size=64 --decoders=8 --fast_decode")
    no_gain = dataclasses.replace(report(), fast_decode=FastDecodeEffect(1000, 0, 0.0, 1.5))
    assert "--fast_decode (" not in str(no_gain)


def test_threads_have_no_share_of_their_own():
    text = str(report(in_processes=False, handing_over=0.0, blocked=None))
    assert "load, decoder threads" in text
    assert "Decoders wait" not in text and "in the main process." not in text


def test_where_nothing_fits_into_memory_the_text_says_so():
    text = str(dataclasses.replace(report(), memory_limit=GIB // 2))
    assert text.endswith("stays within 512 MiB: raise --memory_limit_mb, or use a smaller network.")

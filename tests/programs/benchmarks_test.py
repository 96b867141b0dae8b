"""The scripts that measure the scorer run as printed in them, on a small network and few images."""

import re
import subprocess
import sys

import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from experiments.killed_jobs import compare_batches
from tests.export.onnx_models import write_channel_mean_model
from tests.programs.warm_start import start_warm
from tests.vac_tf.analysis.analysis_runs import write_classifier_run
from tools.python_imports import REPOSITORY

ROOT = REPOSITORY
SHRUNK = ("--backbone=small", "--image_size=32", "--rounds=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    (folder / "photos").mkdir()
    generator = np.random.default_rng(0)
    for number in range(5):
        small = Image.fromarray(generator.integers(0, 256, (5, 7, 3), dtype=np.uint8))
        small.resize((70, 50)).save(folder / f"photos/{number}.jpg")
    return folder


def run(name, folder, *flags, start=None):
    arguments = [f"--images={folder / 'photos'}", f"--work_dir={folder / 'work'}"]
    start = start or run_warm
    return start(f"benchmarks.{name}", *arguments, *SHRUNK, *flags)


def run_module(module, *arguments):
    """The lines that a script prints which imports no TensorFlow, started as printed in it."""
    command = [sys.executable, "-m", module, *arguments]
    return lines_of(subprocess.run(command, cwd=ROOT, capture_output=True, text=True))


def run_warm(module, *arguments):
    """The same of one that does."""
    return lines_of(start_warm(f"{module.replace('.', '/')}.py", *arguments))


def lines_of(done):
    assert done.returncode == 0, done.stderr or done.stdout
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def scoring_flags(folder):
    model = write_channel_mean_model(folder / "model.onnx")
    return f"--model={model}", f"--images={folder / 'photos'}"


def test_end_to_end(folder):
    lines = run("end_to_end", folder, "--count=16", "--batch_size=4", "--devices=cpu:1")
    assert lines[0].startswith("round") and len(lines) == 5
    for line in lines[1:3]:
        network, loading, job, ratio = map(float, line.split()[1:])
        assert min(network, loading) >= 0.0 < min(job, ratio)
    assert re.match(r"16 images, small, 32 px, \d+ cores: [\d.]+ images/s; ratio of", lines[3])
    assert re.match(r"--devices=cpu:1: the same bytes in [\d.]+ times the time \(", lines[4])


def test_scoring_comparison(folder):
    lines = run("scoring_comparison", folder, "--count=8", "--rounds=1")
    assert [line.count("|") for line in lines] == [5] * 5
    names, speeds, ratios, pixels = zip(
        *(line.strip("| ").split(" | ") for line in lines[2:]), strict=True
    )
    assert names[0] == "`score.py`" and float(ratios[0]) == 1.0
    assert all(float(speed) > 0.0 for speed in speeds)
    ours, plain, training = (list(map(float, text.split(" / "))) for text in pixels)
    assert training == [0.0, 0.0]
    assert ours[1] <= 0.01 < plain[1]


def test_training_input(folder):
    arguments = [f"--images={folder / 'photos'}", f"--work_dir={folder / 'work'}", "--count=9"]
    arguments += ["--image_size=32", "--scaled_size=24", "--box_share=0.5", "--rounds=1"]
    ways = ("none", "memory", "disk rounded")
    arguments += [f"--ways={way}" for way in ways] + ["--batch_size=4"]
    steps, *table = run_warm("benchmarks.training_input", *arguments)
    assert re.fullmatch(
        r"CPU ms per image: read \S+, decode \S+, resize to 32 \S+, resize to 24 \S+", steps
    )
    rows = [line.strip("| ").split(" | ") for line in table[2:]]
    assert [row[0] for row in rows] == list(ways)
    assert all(float(value) > 0.0 for row in rows for value in row[1:3])


def test_rows(folder):
    flags = ("--rows=100", "--count=16", "--batch_size=4", "--rounds=1")
    lines = run("rows", folder, *flags, start=run_module)
    assert lines[0].startswith("rows/s") and len(lines) == 6
    for line, name in zip(lines[1:4], ("scores", "peaks of 3", "peaks of 80"), strict=True):
        assert line.startswith(name)
        assert min(map(int, line.removeprefix(name).split())) > 0
    pattern = (
        r"16 images, small, 32 px, \d+ cores, ([\d.]+) labels decided: \d+ images/s; with peaks"
    )
    few, all_labels = (float(re.match(pattern, line)[1]) for line in lines[4:])
    assert 3.0 <= few < all_labels == 80.0


def test_rounded_inputs(tmp_path, tiny_settings, tiny_backbone):
    del tiny_backbone  # That of the run below.
    names = ("data_dir", "scenes_train_images", "scenes_image_size", "image_size")
    settings = {name: tiny_settings[name] for name in names}
    run_dir = write_classifier_run(tmp_path / "run", settings)
    arguments = [f"--run_dir={run_dir}", "--split=val"]
    levels, *_, decisions, scores = run_warm("experiments.precision.rounded_inputs", *arguments)
    mean, largest = map(
        float, re.fullmatch(r"inputs: (\S+) levels off, (\S+) at most", levels).groups()
    )
    assert 0.0 <= mean <= largest <= 0.5
    assert re.fullmatch(r"decisions: \d+ of \d+ differ", decisions)
    assert re.fullmatch(r"mAP: 0\.\d+ exact, 0\.\d+ rounded", scores)


def test_start_and_memory(scoring_flags):
    few_rows = ("--starts=1", "--few=10", "--many=20")
    lines = run_module("benchmarks.start_and_memory", *scoring_flags, *few_rows)
    assert re.match(r"one image: [\d.]+ s \(median of 1, .* s of the processor", lines[0])
    peaks = [int(re.search(r", (\d+) MiB at most", line)[1]) for line in lines[1:3]]
    assert min(peaks) > 10
    ratio = float(re.search(r": ([\d.]+) times that of the short one", lines[3])[1])
    assert ratio == pytest.approx(peaks[1] / peaks[0], abs=0.05)


def test_loading(folder):
    flags = ("--rounds=1", "--count=40", "--image_size=32", "--batch_size=8")
    images = f"--images={folder / 'photos'}"
    lines = run_module("benchmarks.loading", images, *flags, "--sleepers=2", "--sleeper_count=40")
    assert float(re.search(r"at most ([\de.+-]+) grey", lines[0])[1]) < 2e-5
    rows = [line.strip("| ").split(" | ") for line in lines[3:6]]
    assert [row[0] for row in rows] == [
        "2 threads, Pillow band by band",
        "2 processes, one pass",
        "1 process, one pass",
    ]
    assert all(float(value.rstrip("% ")) >= 0.0 for row in rows for value in row[1:])
    assert lines[6].startswith("2 processes of 2 threads: ")
    assert lines[7].startswith("2 processes of 1: ")
    assert lines[8].endswith(" times the CPU time")
    assert re.match(r"2 processes that sleep 6 ms: \d+ images/s of 333; main process", lines[9])


def test_killed_jobs(scoring_flags):
    small = ("--rows=800", "--rows_per_part=8", "--kills=2")
    small += ("--decoders=2", "--shards=2", "--batch_sizes=1,7")
    lines = run_module("experiments.killed_jobs", *scoring_flags, *small)
    assert lines[0].startswith("801 rows, unbroken in")
    assert [line[:6] for line in lines[1:]] == ["ok    "] * 4
    first, second = map(int, re.search(r"killed 2 times, .*: \[(\d+), (\d+)\]", lines[1]).groups())
    assert 0 <= first < second <= 101  # It went on from parts that were there.
    assert lines[-1].startswith("ok     batches of 1, 7: 0 decisions differ, probabilities by")


def test_batches_that_differ_are_seen(tmp_path):
    def write(name, red, decisions, image="a.jpg"):
        columns = {"image": [image, "gone"], "status": ["ok", "missing"]}
        columns |= {"red": pyarrow.array([red, None], "float32"), "decisions": [decisions, None]}
        parquet.write_table(pyarrow.table(columns), tmp_path / name)
        return tmp_path / name

    first = write("first", 0.5, ["red"])
    assert compare_batches([first, first], ["red"]) == (0, 0.0)
    assert compare_batches([first, write("other", 0.25, [])], ["red"]) == (1, 0.25)
    with pytest.raises(RuntimeError, match="red: other rows have probabilities, or none has"):
        compare_batches([first, write("lost", None, ["red"])], ["red"])
    with pytest.raises(RuntimeError, match="Rows moved"):
        compare_batches([first, write("moved", 0.5, ["red"], "b.jpg")], ["red"])

"""The cost model: its arithmetic, its recipes, and the program on a few small images."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.cost_model.estimate import (
    GPUS,
    RECIPES,
    Recipe,
    exponent_above_start,
    faults,
    log_slope,
    paper_table,
    straight_line,
)
from benchmarks.cost_model.programs import run_program, write_table
from tools.python_imports import REPOSITORY
from vac_tf.datasets import read_split

COUNTS = [1000, 2000, 4000, 8000]


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.3])
def test_the_exponent_of_a_power_is_found_whatever_its_unit(exponent):
    seconds = 3.7 * np.array(COUNTS) ** exponent
    assert log_slope(COUNTS, seconds) == pytest.approx(exponent)
    assert log_slope(COUNTS, 1e3 * seconds) == pytest.approx(exponent)


def test_a_fixed_start_lowers_the_exponent_and_is_told_apart_from_the_images():
    seconds = 5.0 + 0.002 * np.array(COUNTS)
    assert log_slope(COUNTS, seconds) < 1.0
    assert straight_line(COUNTS, seconds) == pytest.approx((0.002, 5.0))


STARTS = [0.0, 1.0, 20.0, 100.0]


def measured(start, doublings, noise=0.0, seed=0):
    """Times of which the cost of an image doubles so often from 1,000 to 16,000 images."""
    counts = 1000 * 2 ** np.arange(5)
    seconds = start + 0.005 * counts * (counts / 1000) ** (doublings / 4)
    spread = np.random.default_rng(seed).normal(scale=noise, size=(3, 5))
    return counts, np.median(seconds * np.exp(spread), axis=0)


@pytest.mark.parametrize("start", STARTS)
def test_no_start_hides_what_an_image_costs(start):
    for doublings in (0, 1, 2):
        expected = pytest.approx(1.0 + doublings / 4, abs=0.011)
        assert exponent_above_start(*measured(start, doublings)) == expected


def test_noise_does_not_change_the_verdict():
    def verdicts(doublings):
        draws = [measured(20.0, doublings, 0.03, seed) for seed in range(15)]
        return [exponent_above_start(*draw) <= 1.15 for draw in draws]

    assert np.mean(verdicts(0)) > 0.9 and np.mean(verdicts(1)) < 0.1


@pytest.mark.parametrize(
    "start, doublings, said",
    [
        *((start, 0, None) for start in STARTS[:3]),
        *((start, 1, "train.py: more than in proportion .*1.2., at most 1.15") for start in STARTS),
        (100.0, 0, "train.py: .* hides what images cost; give larger --counts"),
        (np.nan, 0, "train.py"),
    ],
)
def test_costs_that_double_are_refused_whatever_the_start(start, doublings, said):
    counts, seconds = measured(start, doublings)
    exponent = 1.0 if np.isnan(start) else exponent_above_start(counts, seconds)
    found = {"processor_seconds": list(seconds), "exponent_above_start": exponent}
    lines = faults({"train.py": found}, 1.15)
    assert len(lines) == (said is not None)
    assert said is None or re.match(said, lines[0])


def test_hours_are_those_of_all_images_shared_by_the_gpus():
    recipe = Recipe("mine", trained=3600, evaluated=7200, epochs=10)
    assert recipe.hours(1.0, 2.0, gpus=1) == pytest.approx(20.0)
    assert recipe.hours(1.0, 2.0, gpus=8) == pytest.approx(2.5)
    assert recipe.hours(2.0, 4.0, gpus=1) == pytest.approx(10.0)


def test_the_table_has_a_row_a_recipe_and_rate():
    head, _, *rows = paper_table([100.0, 400.0], evaluation_speedup=10.0, loading_ms=5.0)
    assert len(rows) == 2 * len(RECIPES) and all(f"{count} GPU" in head for count in GPUS)
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    hours = 12 * (28_345 / 100 + 29_179 / 1000) / 3600
    assert cells == ["wider_r50_acfs", "100", *(f"{hours / count:.3g}" for count in GPUS), "0.5"]


def test_recipes_are_there_with_their_epochs():
    for recipe in RECIPES:
        flags = REPOSITORY / "flags" / "recipes" / f"{recipe.name}.flags"
        dataset = recipe.name.split("_")[0]
        settings = flags.with_name(f"{dataset}_settings.flags").read_text()
        assert f"{dataset}_settings.flags" in flags.read_text()
        assert f"--epochs={recipe.epochs}\n" in settings


def test_a_table_of_any_length_is_read_and_takes_the_room_of_64_pictures(tmp_path):
    write_table(tmp_path / "table", 100, 64, 48)
    for split in ("train", "test"):
        assert len(read_split("table", tmp_path / "table", split).image_paths) == 100
    inodes = {file.stat().st_ino for file in (tmp_path / "table").rglob("*.jpg")}
    assert len(inodes) == 64


def test_a_program_that_fails_says_what_it_printed():
    with pytest.raises(RuntimeError, match="score.py ended with 2: Missing: --model"):
        run_program(1, "score.py", "--output=nowhere.parquet")


@pytest.mark.slow
def test_the_program_measures_prints_and_writes(tmp_path):
    command = [sys.executable, "-m", "benchmarks.cost_model", f"--output={tmp_path}/new/cost.json"]
    command += ["--counts=20,40,80", "--picture=64,48", "--image_size=32", "--batch_size=4"]
    # train.py makes the run of both.
    command += ["--steps=1", "--rounds=1", "--program=evaluate.py", "--program=score.py"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    # So few images take less than the start of the programs.
    assert done.returncode == 1 and "evaluate.py: " in done.stderr, done.stderr
    assert done.stderr.count("give larger --counts") == 2
    found = json.loads((tmp_path / "new" / "cost.json").read_text())
    assert {(step["views"], step["labels"]) for step in found["steps"]} >= {(1, 14), (4, 14)}
    assert all(step["trained"]["processor_ms"] > 0 for step in found["steps"])
    assert set(found["programs"]) == {"evaluate.py", "score.py"}
    for costs in found["programs"].values():
        assert [cost["images"] for cost in costs["costs"]] == [20, 40, 80]
    assert re.search(r"\| coco_r101_acfs \| 1600 \|", done.stdout)

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
    command = [sys.executable, "-m", "benchmarks.cost_model", f"--output={tmp_path / 'cost.json'}"]
    command += ["--counts=20,40", "--picture=64,48", "--image_size=32", "--batch_size=4"]
    done = subprocess.run(
        [*command, "--steps=1"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "cost.json").read_text())
    assert {(step["views"], step["labels"]) for step in found["steps"]} >= {(1, 14), (4, 14)}
    assert all(step["trained"]["processor_ms"] > 0 for step in found["steps"])
    assert set(found["programs"]) == {"train.py", "evaluate.py", "score.py"}
    for costs in found["programs"].values():
        assert [cost["images"] for cost in costs["costs"]] == [20, 40]
    assert re.search(r"\| coco_r101_acfs \| 1600 \|", done.stdout)

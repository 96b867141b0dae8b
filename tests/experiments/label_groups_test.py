"""The comparison of grouped and independent labels: its table, and the groups that it names."""

import json
import re

import pytest

from experiments import label_groups
from experiments.label_groups import (
    HERE,
    format_table,
    planned_trainings,
    read_results,
    refuse_other_settings,
    result_file,
)
from vac_tf.configs.label_groups.reading import read_label_groups


def result(way, seed, mean_average_precision, top1):
    groups = [{"name": "age", "top1": top1}, {"name": "sex", "top1": 1.0}]
    means = {"top1": (top1 + 1) / 2, "mean_recall": 0.5, "contradictory_decisions": 0.25}
    return {
        "way": way,
        "seed": seed,
        "label_based": {"mAP": mean_average_precision, "mA": 0.6, "F1-C": 0.4},
        "label_groups": means | {"groups": groups},
    }


def test_a_table_has_means_and_deviations_over_seeds(tmp_path):
    results = [result("sigmoids", 0, 0.5, 0.6), result("sigmoids", 1, 0.7, 0.8)]
    results.append(result("groups", 0, 0.61, 0.9))
    for each in results:
        (tmp_path / f"{each['way']}_seed{each['seed']}.json").write_text(json.dumps(each))
    lines = format_table(read_results(tmp_path, [0, 1])).splitlines()
    assert lines[2].startswith("| sigmoids | 2 | 60.0 ± 14.1 | 60.0 ± 0.0 |")
    assert lines[3].startswith("| groups | 1 | 61.0 | 60.0 | 40.0 | 95.0 |")
    assert lines[5:] == ["| top 1 | age | sex |", "|---|---|---|"] + [
        "| sigmoids | 70.0 | 100.0 |",
        "| groups | 90.0 | 100.0 |",
    ]


def planned(seeds=(0, 1), groups="groups.toml", test_images=0, settings=("--epochs=4",)):
    return planned_trainings(seeds, groups, test_images, settings)


def test_results_of_the_same_settings_are_taken_and_others_refused(tmp_path):
    for plan in planned():
        result_file(tmp_path, plan).write_text(json.dumps(plan))
    refuse_other_settings(tmp_path, planned())
    refuse_other_settings(tmp_path, planned(settings=("--epochs=4", "--cache_dir=/elsewhere")))
    refuse_other_settings(tmp_path, planned(seeds=(2,), groups="other.toml"))  # None is there.
    for changes in ({"groups": "other.toml"}, {"test_images": 100}, {"settings": ("--epochs=5",)}):
        with pytest.raises(ValueError, match="other settings of .* or give other --results"):
            refuse_other_settings(tmp_path, planned(**changes))


def test_only_the_seeds_asked_for_are_shown(tmp_path):
    for plan in planned((0, 1, 2)):
        result_file(tmp_path, plan).write_text(json.dumps(plan))
    shown = read_results(tmp_path, [1, 3])
    assert [(each["way"], each["seed"]) for each in shown] == [("groups", 1), ("sigmoids", 1)]


@pytest.mark.parametrize("name", ["results", "all_images"])
def test_the_results_that_are_there_are_those_of_the_command_that_stands_beside_them(name):
    page = (HERE.parent / "RESULTS.md").read_text(encoding="utf-8")
    command = label_groups.__doc__ if name == "results" else page.partition(f"/{name} ")[2]
    settings = re.search(r"-- (--.*)\n", command)[1].split()
    plans = planned((0, 1, 2), "experiments/label_groups/peta.toml", settings=settings)
    refuse_other_settings(HERE / name, plans)
    results = read_results(HERE / name, [0, 1, 2])
    assert len(results) == len(plans) == 6
    if name == "all_images":
        assert label_groups.format_table(results) in page


def test_the_groups_of_peta_exclude_what_they_should():
    text = (HERE / "peta.toml").read_text()
    names = sorted(part for part in text.split('"') if part[:1].islower() and "Body" in part)
    names += ["personalLess30", "personalLess45", "personalLess60", "personalLarger60"]
    names += ["personalFemale", "personalMale", "hairLong", "hairShort"]
    names += ["hairBlack", "hairBrown", "hairGrey"]
    groups = read_label_groups(str(HERE / "peta.toml"), names)
    assert sum(group.at_most_one for group in groups) == 3
    assert {column for group in groups for column in group.columns} == set(range(len(names)))

"""The comparison of grouped and independent labels: its table, and the groups that it names."""

import json

from experiments.label_groups import HERE, format_table, read_results
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
    lines = format_table(read_results(tmp_path)).splitlines()
    assert lines[2].startswith("| sigmoids | 2 | 60.0 ± 14.1 | 60.0 ± 0.0 |")
    assert lines[3].startswith("| groups | 1 | 61.0 | 60.0 | 40.0 | 95.0 |")
    assert lines[5:] == ["| top 1 | age | sex |", "|---|---|---|"] + [
        "| sigmoids | 70.0 | 100.0 |",
        "| groups | 90.0 | 100.0 |",
    ]


def test_the_groups_of_peta_exclude_what_they_should():
    text = (HERE / "peta.toml").read_text()
    names = sorted(part for part in text.split('"') if part[:1].islower() and "Body" in part)
    names += ["personalLess30", "personalLess45", "personalLess60", "personalLarger60"]
    names += ["personalFemale", "personalMale", "hairLong", "hairShort"]
    names += ["hairBlack", "hairBrown", "hairGrey"]
    groups = read_label_groups(str(HERE / "peta.toml"), names)
    assert sum(group.at_most_one for group in groups) == 3
    assert {column for group in groups for column in group.columns} == set(range(len(names)))

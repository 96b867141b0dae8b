"""What the thresholds of an exported network do, in words."""

from collections.abc import Mapping
from typing import Any

from export.bundle.description import ModelDescription


def describe_thresholds(description: ModelDescription) -> list[str]:
    """Lines for the report of an export: of tuned thresholds one for each label."""
    return [*_describe_groups(description), *_describe_tuning(description)]


def _describe_groups(description: ModelDescription) -> list[str]:
    return [
        f"Of label group {group.name} the most probable of {len(group.columns)} labels is decided"
        + (", or none below its threshold." if group.at_most_one else ", whatever its threshold.")
        for group in description.label_groups
    ]


def _describe_tuning(description: ModelDescription) -> list[str]:
    tuning, thresholds = description.tuning, description.thresholds
    if not tuning or not tuning.get("labels"):
        lowest, highest = min(thresholds), max(thresholds)
        if lowest == highest:
            return [f"Every label is decided above {lowest:g}: its threshold is not tuned."]
        return [
            f"Labels are decided above {lowest:.4f} to {highest:.4f}, tuned by an earlier version:"
            " what each does is not known. Tune again (evaluate.py --tune_thresholds)."
        ]
    return [
        f"Thresholds tuned for {tuning['objective']} on {tuning['images']} images of"
        f" {tuning['split']}; what each does to those that it is not tuned on:",
        *(
            f"  {name} above {threshold:.4f}: {_effect(tuning['labels'][name], tuning)}"
            for name, threshold in zip(description.label_names, thresholds, strict=True)
        ),
    ]


def _effect(label: Mapping[str, Any], tuning: Mapping[str, Any]) -> str:
    fixed = f"{tuning['fixed_threshold']:g}"
    if label["is_tuned"]:
        return f"{_rates(label['tuned'])}; {fixed} would be {_rates(label['fixed'])}"
    return f"{_rates(label['fixed'])}; {fixed} is kept: {label['kept_because']}"


def _rates(rates: Mapping[str, float | None]) -> str:
    alarms, precision, recall = (
        "?" if rates[name] is None else f"{100 * rates[name]:.1f} %"
        for name in ("alarm_rate", "precision", "recall")
    )
    return f"decided on {alarms} of the images, precision {precision}, recall {recall}"

"""Section 5.3 of the dual-stream paper: performance by the number of objects in an image."""

from vac_tf.analysis.objects.object_count_bins import bin_name, clutter_bins
from vac_tf.analysis.text import number
from vac_tf.pages.sections import Section, Table

TITLE = "Clutter: performance by the number of objects"
QUESTION = (
    "Mean average precision of the images with each number of objects (Section 5.3), crowds not"
    " counted."
)


def clutter_section(result: dict, figures: dict[str, str]) -> Section:
    """The result of `vac_tf.analysis.objects.clutter.map_by_object_count` in words and a table.

    Args:
        result: as returned.
        figures: path -> caption.
    """
    groups, models = result["groups"], result["models"]
    readings = [
        "Few images make a high mAP: in a group of one image every label that is present has an"
        " average precision of 1. Compare with the expectation of a random ranking beside it."
    ]
    if len(models) == 2 and groups:
        readings.append(_comparison(groups, models))
    without = [name for name in result["undefined"] if name]
    if 0 in result["undefined"]:
        readings.append("Images without any object have no mAP and form no group.")
    if without:
        readings.append(f"Without any positive label: images with {without} objects.")
    return Section(TITLE, QUESTION, readings, [_table(groups, models)], figures)


def _comparison(groups: list[dict], models: dict) -> str:
    (first, second), values = models, [model["mAP"] for model in models.values()]
    above = sum(a > b for a, b in zip(*values, strict=True))
    below = sum(a < b for a, b in zip(*values, strict=True))
    return (
        f"{first} has the higher mAP at {above} numbers of objects, {second} at {below}, of"
        f" {len(groups)}; this is a count, not a test."
    )


def _table(groups: list[dict], models: dict) -> Table:
    """Means over bins of numbers of objects, each group weighing as many images as it has."""
    rows = []
    for low, high in clutter_bins():
        inside = [
            index for index, group in enumerate(groups) if low <= group["object_count"] <= high
        ]
        if not inside:
            continue
        images = [groups[index]["images"] for index in inside]
        columns = [[group["chance"] for group in groups]] + [m["mAP"] for m in models.values()]
        means = [
            sum(column[index] * count for index, count in zip(inside, images, strict=True))
            / sum(images)
            for column in columns
        ]
        rows.append([bin_name(low, high), str(sum(images)), *(number(mean) for mean in means)])
    header = ["objects", "images", "random ranking", *models]
    return Table("Mean mAP of the groups, weighted by their images.", header, rows)

"""Where the heatmaps look, in words and a table."""

from vac_tf.analysis.objects.localization import CENTRE
from vac_tf.analysis.text import interval, number
from vac_tf.pages.sections import Section, Table

TITLE = "Where it looks: heatmaps against the masks of objects"
QUESTION = (
    "Pointing game: does the largest value lie in the mask, or within 15 pixels of it? Energy: what"
    " share of the positive values lies inside? Boxes and pixels: MaxBoxAccV2 and PxAP."
)


def localization_section(result: dict) -> Section:
    """The result of `vac_tf.analysis.objects.localization.localization`.

    Args:
        result: as returned, or a dict with `left_out`.
    """
    if "left_out" in result:
        return Section(TITLE, QUESTION, left_out=result["left_out"])
    readings = [
        f"{result['pairs']} labels of {result['images']} images are judged;"
        f" {result['pairs_with_crowds']} with crowds and {result['pairs_without_pixels']} without"
        " a pixel are left out. Intervals hold 95 % of resampled images."
    ]
    if result["pairs"]:
        readings.append(
            f"The masks cover {result['mask_share']:.1%} of their images on average; the row"
            f" “{CENTRE}” is a hill in the middle of every image, which needs no network."
        )
        readings += _comparisons(result["models"])
    return Section(TITLE, QUESTION, readings, [_table(result["models"])])


def _comparisons(models: dict) -> list[str]:
    """A sentence for every model whose pointing differs from the centre's beyond both intervals."""
    centre = models[CENTRE]["pointing_game"]
    sentences = []
    for name, values in models.items():
        own = values["pointing_game"]
        if name == CENTRE or own["mean"] is None:
            continue
        if own["low"] > centre["high"]:
            word = "points at objects more often than the centre does"
        elif own["high"] < centre["low"]:
            word = "points at objects less often than the centre does"
        else:
            word = "is not shown to point at objects more or less often than the centre does"
        sentences.append(f"{name} {word} ({interval(own)} against {interval(centre)}).")
    return sentences


def _table(models: dict) -> Table:
    header = ["heatmaps", "pointing game", "energy inside", "MaxBoxAccV2", "PxAP"]
    measured = any("insertion" in values for values in models.values())
    header += ["insertion", "deletion"] if measured else []
    rows = []
    for name, values in models.items():
        cells = [interval(values["pointing_game"]), interval(values["energy_inside"])]
        cells += [number(values[key]) for key in ("max_box_accuracy", "pixel_average_precision")]
        if measured:
            cells += [number(values.get(key)) for key in ("insertion", "deletion")]
        rows.append([name, *cells])
    caption = "Pointing game and energy are means over labels."
    if measured:
        pairs = max(values.get("causal_pairs", 0) for values in models.values())
        caption += (
            f" Insertion (higher is better) and deletion (lower is better) of {pairs} labels: the"
            " area under the probability while pixels are given or taken."
        )
    return Table(caption, header, rows)

"""Section 5.4 of the dual-stream paper: which labels gain, and what their objects are like."""

from vac_tf.analysis.comparison.average_precision_gain import LEAST_POSITIVES
from vac_tf.analysis.text import correlation_in_words, is_correlation_shown, listed, number, signed
from vac_tf.pages.sections import Section, Table

TITLE = "Labels: what one model gains over the other"
QUESTION = (
    "Differences of average precision, with 95 % bootstrap intervals over images, against the size"
    " and the saliency of the labels' objects (Section 5.4)."
)
_LABELS_SHOWN = 8


def gain_section(result: dict, figures: dict[str, str]) -> Section:
    """The result in words and tables.

    Args:
        result: `left_out` with the reason; or `model`, `baseline` (names), `comparison` (of
            `compare_average_precision`), `saliency` (which one, or None) and `correlations` (of
            `gain_correlations`).
        figures: path -> caption.
    """
    if "left_out" in result:
        return Section(TITLE, QUESTION, left_out=result["left_out"])
    comparison, correlations = result["comparison"], result["correlations"]
    names = result["model"], result["baseline"]
    readings = [_whole(comparison, names), _labels(comparison)]
    quantities = {"area": "size", "saliency": f"{result['saliency']}".replace("_", " ")}
    readings += [
        _correlation(quantity, correlations[name])
        for name, quantity in quantities.items()
        if name in correlations
    ]
    return Section(TITLE, QUESTION, readings, [_table(comparison, names)], figures)


def _whole(comparison: dict, names: tuple[str, str]) -> str:
    whole = comparison["mAP"]
    if whole["interval"] is None:
        return "No label has a positive image."
    low, high = whole["interval"]
    values = (
        f"{number(whole['model'])} against {number(whole['baseline'])}, difference"
        f" {signed(whole['difference'])} [{signed(low)}, {signed(high)}]"
    )
    if low <= 0 <= high:
        return f"The mAP of {names[0]} and of {names[1]} cannot be told apart ({values})."
    word = "higher" if whole["difference"] > 0 else "lower"
    return f"The mAP of {names[0]} is {word} than that of {names[1]} ({values})."


def _labels(comparison: dict) -> str:
    rows = comparison["labels"]
    text = (
        f"Of {len(rows)} labels {comparison['improved']} improve and {comparison['worsened']}"
        f" worsen; beyond their interval {comparison['improved_beyond_interval']} and"
        f" {comparison['worsened_beyond_interval']}; one interval in twenty would exclude 0 without"
        " any difference."
    )
    if comparison["without_interval"]:
        text += (
            f" {comparison['without_interval']} labels have fewer than {LEAST_POSITIVES} positive"
            " images, too few for an interval."
        )
    return text


def _correlation(quantity: str, row: dict) -> str:
    if row["reason"]:
        return f"Gain and {quantity} of the objects: no correlation; {row['reason']}."
    values = correlation_in_words(row)
    if not is_correlation_shown(row):
        return f"The gain shows no clear relation to the {quantity} of the objects ({values})."
    word = "grows" if row["pearson"]["correlation"] > 0 else "falls"
    return f"The gain {word} with the {quantity} of the label's objects ({values})."


def _table(comparison: dict, names: tuple[str, str]) -> Table:
    rows = comparison["labels"]
    shown = rows
    if len(rows) > 2 * _LABELS_SHOWN:
        shown = rows[:_LABELS_SHOWN] + rows[-_LABELS_SHOWN:]
    header = ["label", "positive images", names[1], names[0], "difference", "95 % interval"]
    caption = "Average precision of the labels" + (
        f" that gain and lose most ({_LABELS_SHOWN} each)." if shown is not rows else "."
    )
    if comparison["labels_without_positives"]:
        caption += f" Without positives: {listed(comparison['labels_without_positives'])}."
    return Table(caption, header, [_cells(row) for row in shown])


def _cells(row: dict) -> list[str]:
    interval = "–" if row["interval"] is None else "[{:+.3f}, {:+.3f}]".format(*row["interval"])
    return [
        row["name"].replace("_", " "),
        str(row["positives"]),
        number(row["baseline_average_precision"]),
        number(row["average_precision"]),
        signed(row["difference"]),
        interval,
    ]

"""Section 3.2 of the dual-stream paper: what found objects have that missed ones lack."""

from vac_tf.analysis.text import (
    FEWEST,
    SIGNIFICANT,
    correlation_in_words,
    is_correlation_shown,
    listed,
    number,
    p_cell,
    p_value,
    signed,
)
from vac_tf.pages.sections import Section, Table

TITLE = "Objects: what distinguishes found from missed ones?"
QUESTION = (
    "An object is found when its label is predicted for its image. Size, distance to the centre and"
    " the largest saliency inside the mask (Section 3.2)."
)
QUANTITY_NAMES = {
    "size": "size (mask over image area)",
    "distance": "distance to the centre (over half the diagonal)",
    "predicted_saliency": "largest predicted saliency",
    "true_saliency": "largest saliency of fixations",
}
_WORDS = {
    "size": ("larger", "smaller"),
    "distance": ("farther from the centre", "closer to the centre"),
    "predicted_saliency": ("more salient (predicted)", "less salient (predicted)"),
    "true_saliency": ("more salient (fixations)", "less salient (fixations)"),
}


def objects_section(statistics: dict, correlations: dict, figures: dict[str, str]) -> Section:
    """Both results in words and tables.

    Args:
        statistics: of `vac_tf.analysis.objects.statistics.found_against_missed`.
        correlations: of `class_correlations`.
        figures: path -> caption.
    """
    counts = statistics["objects"]
    readings = [
        f"{counts['used']} objects: {counts['found']} found, {counts['missed']} missed."
        f" {counts['crowds_left_out']} crowds and {counts['left_out_without_pixels']} objects"
        " without a pixel are left out. Objects of one image are not independent, so p-values are"
        " smaller than they should be; effect sizes are not."
    ]
    readings += [_difference(name, row) for name, row in statistics["quantities"].items()]
    readings += [_correlation(name, row) for name, row in correlations["correlations"].items()]
    return Section(
        TITLE,
        QUESTION,
        readings,
        [_objects_table(statistics), _classes_table(correlations)],
        figures,
    )


def _difference(name: str, row: dict) -> str:
    if row["reason"]:
        return f"{QUANTITY_NAMES[name].capitalize()}: no test; {row['reason']}."
    test, welch = row["t_test"], row["welch_t_test"]
    groups = row["found"]["count"], row["missed"]["count"]
    values = (
        f"unpaired t-test, t = {test['t']:.2f}, {p_value(test['p_value'])}; Welch"
        f" {p_value(welch['p_value'])}; d = {signed(row['effect_size'], 2)}"
    )
    if min(groups) < FEWEST:
        return (
            f"{QUANTITY_NAMES[name].capitalize()}: {groups[0]} found against {groups[1]} missed"
            f" objects are too few for a statement ({values})."
        )
    if max(test["p_value"], welch["p_value"]) >= SIGNIFICANT:
        return f"{QUANTITY_NAMES[name].capitalize()}: no difference is shown ({values})."
    word = _WORDS[name][0 if test["t"] > 0 else 1]
    return f"Found objects are {word} than missed ones ({values})."


def _correlation(name: str, row: dict) -> str:
    quantity = QUANTITY_NAMES[name].split(" (")[0]
    if row["reason"]:
        return f"Average precision and {quantity}: no correlation; {row['reason']}."
    values = correlation_in_words(row)
    if not is_correlation_shown(row):
        return f"No correlation of average precision with {quantity} is shown ({values})."
    word = "higher" if row["pearson"]["correlation"] > 0 else "lower"
    return f"Average precision is {word} where the mean {quantity} is greater ({values})."


def _objects_table(statistics: dict) -> Table:
    header = ["", "found", "missed", "t", "p", "p (Welch)", "effect size d"]
    rows = []
    for name, row in statistics["quantities"].items():
        tests = [row["t_test"], row["welch_t_test"]]
        values = [p_cell(test and test["p_value"]) for test in tests]
        means = [_mean(row[group]) for group in ("found", "missed")]
        t = number(tests[0] and tests[0]["t"], 2)
        effect = number(row["effect_size"], 2)
        rows.append([QUANTITY_NAMES[name], *means, t, *values, effect])
    return Table("Mean ± standard error over objects.", header, rows)


def _mean(summary: dict) -> str:
    if summary["standard_error"] is None:
        return number(summary["mean"])
    return f"{number(summary['mean'])} ± {number(summary['standard_error'])}"


def _classes_table(correlations: dict) -> Table:
    header = ["average precision with mean ...", "labels", "Pearson", "p", "Spearman", "p"]
    rows = []
    for name, row in correlations["correlations"].items():
        cells = []
        for kind in ("pearson", "spearman"):
            values = row[kind] or {"correlation": None, "p_value": None}
            cells += [signed(values["correlation"], 2), p_cell(values["p_value"])]
        rows.append([QUANTITY_NAMES[name], str(row["count"]), *cells])
    caption = "Correlations over labels."
    if correlations["without_average_precision"]:
        names = correlations["without_average_precision"]
        caption += f" Without positives and left out: {listed(names)}."
    return Table(caption, header, rows)

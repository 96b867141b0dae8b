"""Numbers of an analysis in words: how values, intervals and p-values are written everywhere."""

from collections.abc import Sequence

# Findings with a larger p-value, or of fewer objects or labels, are not stated as such.
SIGNIFICANT = 0.05
FEWEST = 8


def number(value: float | None, digits: int = 3) -> str:
    """ "0.412", and a dash where the value is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int = 3) -> str:
    """ "+0.412", "-0.412": a difference."""
    return "–" if value is None else f"{value:+.{digits}f}"


def p_value(value: float | None) -> str:
    """ "p = 0.012", "p < 0.0001" as papers write it."""
    if value is None:
        return "p undefined"
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.{4 if value < 0.01 else 3}f}"


def p_cell(value: float | None) -> str:
    """ "0.012", "< 0.0001" for a table whose column says that it is p."""
    return "–" if value is None else p_value(value).removeprefix("p ").removeprefix("= ")


def interval(values: dict, digits: int = 3, plus: bool = False) -> str:
    """ "0.12 [0.08, 0.15]" of `mean`, `low` and `high`."""
    write = signed if plus else number
    if values["mean"] is None:
        return "–"
    mean, low, high = (write(values[name], digits) for name in ("mean", "low", "high"))
    return mean if values["low"] is None else f"{mean} [{low}, {high}]"


def correlation_in_words(row: dict) -> str:
    """Both coefficients and p-values of `vac_tf.analysis.correlation.correlate`."""
    pearson, spearman = row["pearson"], row["spearman"]
    return (
        f"Pearson r = {signed(pearson['correlation'], 2)}, {p_value(pearson['p_value'])}; rank"
        f" {signed(spearman['correlation'], 2)}, {p_value(spearman['p_value'])}; {row['count']}"
        " labels"
    )


def is_correlation_shown(row: dict) -> bool:
    """Whether both coefficients are significant, over enough labels: one outlier makes either."""
    worst = max(row[kind]["p_value"] for kind in ("pearson", "spearman"))
    return row["count"] >= FEWEST and worst < SIGNIFICANT


def excludes_zero(values: dict) -> bool:
    """Whether an interval of a difference says which way it goes."""
    return values["low"] is not None and (values["low"] > 0 or values["high"] < 0)


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names in a sentence, the first `most` of them."""
    shown = [name.replace("_", " ") for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")


def format_readings(readings: dict[str, Sequence[str]]) -> str:
    """Sentences under their headings, for the terminal."""
    lines = []
    for title, sentences in readings.items():
        lines += ["", title, *(f"  {sentence}" for sentence in sentences)]
    return "\n".join(lines[1:])

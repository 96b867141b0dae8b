"""What thresholds and calibration gain, as a table for the terminal."""

_METRICS = ("F1-C", "P-C", "R-C", "CF1", "F1-O", "P-O", "R-O", "mA", "alarm_rate")
_ERRORS = ("ECE-C", "ECE-O", "NLL")


def format_thresholds(tuned: dict) -> list[str]:
    """The lines of `tuned_thresholds` of evaluation.json: metrics in percent, errors as numbers."""
    comparison = tuned["comparison"]
    title = f"thresholds: {tuned['objective'] or 'fixed'}"
    extra = [name for name in comparison["tuned"] if name.endswith(("_floor", "_alarm_rate"))]
    extra += [name for name in comparison["tuned"] if name.startswith("F") and name.endswith("-C")]
    names = list(dict.fromkeys([*_METRICS, *extra]))
    widths = [max(8, len(name) + 2) for name in names]
    lines = [
        f"{title:<28}" + "".join(f"{n:>{w}}" for n, w in zip(names, widths, strict=True)),
        *(
            f"{_row_name(key, tuned):<28}"
            + "".join(f"{_cell(row[n]):>{w}}" for n, w in zip(names, widths, strict=True))
            for key, row in comparison.items()
        ),
    ]
    if calibration := tuned.get("calibration"):
        lines += ["", f"{'calibration':<28}" + "".join(f"{name:>8}" for name in _ERRORS)]
        for key, title in (("before", "as trained"), ("after", calibration["method"])):
            errors = (calibration[key][name] for name in _ERRORS)
            cells = ("-" if error is None else f"{error:.4f}" for error in errors)
            lines.append(f"{title:<28}" + "".join(f"{cell:>8}" for cell in cells))
        lines.append(f"expected calibration error in {calibration['binning']}")
    return [*lines, *_notes(tuned)]


def _row_name(key: str, tuned: dict) -> str:
    how = f"{tuned['folds']} folds" if tuned["cross_fitted"] else f"on {tuned['split']}"
    return {
        "fixed": f"{tuned['fixed_threshold']:g}",
        "global": f"one for all labels, {how}",
        "tuned": f"tuned, {how}",
        "judged": f"judged, {how}",
        "oracle": "oracle (bound, not honest)",
    }[key]


def _notes(tuned: dict) -> list[str]:
    notes = {
        "labels_on_global_threshold": "labels without positives, on the global threshold",
        "labels_never_decided": "labels that reach the precision nowhere, never decided",
    }
    lines = [f"{text}: {', '.join(tuned[key])}" for key, text in notes.items() if tuned.get(key)]
    return lines + _verdict(tuned.get("verdict"), tuned["fixed_threshold"])


def _verdict(verdict: dict | None, fixed_threshold: float) -> list[str]:
    """What of the tuning was refused."""
    if not verdict or not verdict["labels_kept"]:
        return []
    names = ", ".join(verdict["labels_kept"])
    refused = verdict["refused_because"]
    what = f"tuning is refused ({refused})" if refused else "no sure gain, or too many alarms"
    fate = "tuned all the same" if verdict["forced"] else f"kept at {fixed_threshold:g}"
    return [f"{what}, {fate}: {names}"]


def _cell(value: float | int | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if isinstance(value, float) else str(value)

"""A saliency evaluation as a table for the terminal."""

from vac_tf.metrics.saliency_scores import METRICS

_HEADINGS = {
    "nss": "NSS",
    "cc": "CC",
    "kld": "KLD",
    "sim": "SIM",
    "auc_judd": "AUC-J",
    "auc_borji": "AUC-B",
    "shuffled_auc": "sAUC",
    "information_gain": "IG",
}


def format_saliency_table(evaluation: dict) -> str:
    """Formats what `vac_tf.evaluation.saliency.score_split` returned.

    Returns:
        One line per predictor and a line of conventions, without a final newline; "-" where
        undefined.
    """
    width = 2 + max(map(len, evaluation["scores"]))
    lines = [" " * width + "".join(f"{_HEADINGS[name]:>8}" for name in METRICS)]
    for predictor, scores in evaluation["scores"].items():
        cells = "".join(f"{_cell(scores.get(name)):>8}" for name in METRICS)
        lines.append(f"{predictor.replace('_', ' '):<{width}}{cells}")
    conventions = evaluation["conventions"]
    text = f"{conventions['images']} images of split {conventions.get('split', '')!r}"
    if conventions.get("simulated_fixations"):
        text += " with SIMULATED fixations"
    text += (
        "; KLD: lower is better; IG: bits per fixation beyond the centre bias; KLD, CC and SIM of"
        " one observer out compare with a single person's fixations"
    )
    if conventions.get("selected_on_this_split"):
        text += "; the network was SELECTED on this split"
    if "decided_by" in conventions:
        text += (
            f"; heatmaps of labels decided by {conventions['decided_by']}"
            f" ({conventions['images_without_decided_label']} images without any)"
        )
    return "\n".join([*lines, text])


def _cell(values: dict | None) -> str:
    return "-" if values is None or values["mean"] is None else f"{values['mean']:.3f}"

"""Does a heatmap that does not follow the image say that the decision is wrong?"""

import numpy as np

from vac_tf.audit.consistency import in_units_of_labels
from vac_tf.audit.measurement import Measurement
from vac_tf.metrics.label_groups.decisions import distance_to_other_decision
from vac_tf.metrics.roc import roc_auc_interval

PREDICTORS = {
    "inconsistency": "inconsistency, mean over the views",
    "decision_change": "share of views that change the decision",
    "doubt": "nearness to the threshold, without any view",
}


def error_prediction(
    measured: Measurement,
    truth: np.ndarray,
    samples: int,
    seed: int,
    units: np.ndarray | None = None,
) -> dict:
    """How well each of `PREDICTORS` tells wrong decisions from right ones.

    Args:
        measured: N images, L labels.
        truth: float32 `[N, L]` of 0, 1 and NaN, where nothing is judged.
        samples: of the bootstrap.
        seed: of the samples.
        units: `[N]`, `Split.unit_numbers`: images of one person, say, which are drawn together.

    Returns:
        `all` decisions, all `within_labels` (each compared with those of its label only, so that
        labels which are wrong more often do not count) and the `positive` ones alone:
        `decisions`, `errors`, and of each predictor the `auc` (0.5: it says nothing) with `low`
        and `high`.
    """
    decided = measured.decided
    inconsistency = in_units_of_labels(measured)
    changes = np.mean([measured.decided_in(kind) != decided for kind in measured.differences], 0)
    scores = {
        "inconsistency": inconsistency,
        "decision_change": changes,
        "doubt": -distance_to_other_decision(
            measured.probabilities, measured.thresholds, measured.label_groups
        ),
    }
    judged = ~np.isnan(truth) & ~np.isnan(inconsistency)
    units = np.arange(len(measured.names)) if units is None else units
    result = {}
    groups = {"all": judged, "within_labels": judged, "positive": judged & decided}
    for name, among in groups.items():
        rows, columns = np.nonzero(among)
        wrong = decided[rows, columns] != (truth[rows, columns] == 1)
        result[name] = {"decisions": len(rows), "errors": int(wrong.sum())} | {
            predictor: roc_auc_interval(
                wrong,
                values[rows, columns],
                units[rows],
                int(units.max()) + 1,
                samples,
                seed,
                columns if name == "within_labels" else None,
            )
            for predictor, values in scores.items()
        }
    return result

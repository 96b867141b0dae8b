"""The drift of a job as Prometheus metrics."""

from collections.abc import Iterator
from typing import Any

from export.scoring.drift.drift import Drift

PREFIX = "vac_scoring"


def drift_metrics(families: Any, drift: Drift) -> Iterator[Any]:
    """Gauges of the drift, of all labels together and of each.

    Args:
        families: The module `prometheus_client.metrics_core`.
        drift: The drift.
    """
    overall = drift.overall
    gauges = {
        "drift_psi": ("Population stability index, mean over labels.", overall.psi),
        "drift_psi_by_chance": ("What it is on average without drift.", overall.psi_by_chance),
        "drift_psi_limit": ("Where it is below without drift.", overall.psi_limit),
        "drift_js": ("Jensen-Shannon divergence in bits, mean over labels.", overall.js),
        "drift_is_too_large": ("1 when it is above --max_drift.", int(drift.is_too_large)),
        "drift_reference_images": ("Images of the reference.", drift.reference_images),
    }
    for name, (help_text, value) in gauges.items():
        yield families.GaugeMetricFamily(f"{PREFIX}_{name}", help_text, value)
    for name, help_text in (
        ("psi", "Population stability index of a label."),
        ("psi_limit", "Where it is below without drift."),
        ("js", "Jensen-Shannon divergence of a label in bits."),
    ):
        family = families.GaugeMetricFamily(
            f"{PREFIX}_label_drift_{name}", help_text, labels=["label"]
        )
        for label, figures in drift.labels.items():
            family.add_metric([label], getattr(figures, name))
        yield family

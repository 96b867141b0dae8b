"""What an export wrote, for its last lines and its exit code."""

import dataclasses
from typing import Any

from export.building.precisions import refusal
from export.building.views.gain import describe_views
from export.bundle.description import SAVED_MODEL_FOLDER

_AFTER_INT8 = (
    "What may help int8: more --int8_float_convolutions; or a training under its rounding, train.py"
    " --init_run=RUN --quantization_aware (docs/precision.md has both, with figures)."
)


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What was written.

    Attributes:
        bundle_dir: The bundle.
        signatures: Signatures of the SavedModel.
        parity: Differences from the Keras network, as in `bundle.json`.
        precisions: The gate's verdict on each precision, as in `bundle.json`.
        seconds: Wall time.
        thresholds: Lines that say what the thresholds do.
    """

    bundle_dir: str
    signatures: tuple[str, ...]
    parity: dict[str, Any]
    precisions: dict[str, Any]
    seconds: float
    thresholds: tuple[str, ...]

    @property
    def refused(self) -> dict[str, str]:
        """Precisions that are not in the bundle, and why."""
        verdicts = self.precisions.items()
        return {name: refusal(verdict) for name, verdict in verdicts if not verdict["accepted"]}

    @property
    def exit_code(self) -> int:
        """1 when a precision that was asked for is not in the bundle."""
        return 1 if self.refused else 0

    def __str__(self) -> str:
        figures = [at for runs in self.parity["outputs"].values() for at in runs.values()]
        largest = max(at["probabilities"] for at in figures)
        decisions = sum(at["decisions"] for at in figures)
        changed = sum(at["decisions_changed"] for at in figures)
        accepted = [verdict for verdict in self.precisions.values() if verdict["accepted"]]
        files = ", ".join(verdict["file"] for verdict in accepted)
        lines = [
            f"Wrote {self.bundle_dir} ({files}, {SAVED_MODEL_FOLDER}/ with"
            f" {', '.join(self.signatures)}) in {self.seconds:.0f} s. On"
            f" {self.parity['images']} validation images probabilities differ from the Keras"
            f" network by at most {largest:.1e}; {changed} of {decisions} decisions differ."
        ]
        lines += self.thresholds
        if len(self.precisions) > 1:
            lines += [_describe_verdict(verdict) for verdict in accepted]
        if "views" in self.parity:
            lines += describe_views(self.parity["views"])
        fast = self.parity["fast_decode"]
        if fast["probabilities"]:
            lines.append(
                f"score.py --fast_decode would change {fast['decisions_changed']} of"
                f" {fast['decisions']} decisions on validation images, probabilities by at most"
                f" {fast['probabilities']:.1e}."
            )
        lines += [f"{name} is refused: {reason}" for name, reason in self.refused.items()]
        if "int8" in self.refused:
            lines.append(_AFTER_INT8)
        return "\n".join(lines)


def _describe_verdict(verdict):
    changes = [
        f"{name} {values['change']:+.4f}"
        for name, values in verdict["metrics"].items()
        if values["change"] is not None
    ]
    return (
        f"{verdict['file']}: on {verdict['images']} validation images"
        f" {verdict['decisions']['changed']:.3%} of the decisions change, probabilities by at most"
        f" {verdict['probabilities']['largest']:.1e}{'; ' if changes else ''}{', '.join(changes)}."
    )

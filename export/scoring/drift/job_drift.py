"""The drift of a finished output, and the reference that a job measures it from."""

import contextlib
import logging
import os

from export.bundle.description import ModelDescription
from export.bundle.score_histograms import ScoreHistograms
from export.files.atomic_file import write_json
from export.scoring.config import ScoringConfig
from export.scoring.drift.drift import Drift, measure_drift
from export.scoring.engine.finished_output import read_manifest
from export.scoring.engine.parts import find_shards
from export.scoring.runtime.session import NetworkSession

_LOGGER = logging.getLogger(__name__)
_HOW_TO_GET_ONE = (
    "Export the run again with export_model.py, which scores --reference_images of its validation"
    " images, or name an output of this model with --drift_reference."
)


def drift_file(output: str) -> str:
    """The file beside an output that holds its drift, label by label."""
    return f"{output}.drift.json"


def open_reference(
    config: ScoringConfig, description: ModelDescription, model_sha256: str
) -> ScoreHistograms | None:
    """What the drift of a job is measured from: `--drift_reference`, or the model's own.

    Args:
        config: The job.
        description: Of its model.
        model_sha256: Of its model.

    Raises:
        ValueError: when `--drift_reference` is of other labels or no finished output, or when
            `--max_drift` is given and there is no reference.
    """
    if config.drift_reference:
        return _read_reference(config.drift_reference, description, model_sha256)
    if description.reference is None:
        message = f"{config.model!r} has no reference of scores. {_HOW_TO_GET_ONE}"
        if config.max_drift:
            raise ValueError(f"--max_drift needs one: {message}")
        _LOGGER.info("No drift is measured: %s", message)
    return description.reference


def _read_reference(path: str, description: ModelDescription, model_sha256: str) -> ScoreHistograms:
    manifest = read_manifest(path)
    if manifest is None or manifest.scores is None:
        raise ValueError(
            f"--drift_reference={path!r} is no output of score.py with a manifest that holds how"
            " its scores are spread. Name one that this version has finished."
        )
    if manifest.job.settings.get("model_sha256") != model_sha256:
        _LOGGER.warning(
            "%r was scored by another model than %s: a drift may be that of the model.",
            path,
            model_sha256[:12],
        )
    try:
        return ScoreHistograms.from_json(manifest.scores.to_json(), description.label_names)
    except ValueError as error:
        raise ValueError(
            f"--drift_reference={path!r} does not fit the model: {error} Name an output of this"
            " model."
        ) from error


def report_drift(config: ScoringConfig, reference: ScoreHistograms | None) -> Drift | None:
    """Measures the drift of the finished output, and writes it beside that.

    Returns:
        The drift; None without a reference, or where no image has scores.

    Raises:
        ValueError: when `--max_drift` is given, and the output does not say how its scores are
            spread.
    """
    manifest, drift = read_manifest(config.output), None
    scores = manifest.scores if manifest else None
    if reference is not None and scores is not None:
        drift = measure_drift(reference, scores, config.max_drift)
    elif config.max_drift:
        raise ValueError(
            f"{config.output!r} was begun by an earlier version, and does not say how its scores"
            " are spread. Score it again with --overwrite."
        )
    if drift is None:
        with contextlib.suppress(FileNotFoundError):  # Of the output that was replaced.
            os.remove(drift_file(config.output))
        return None
    write_json(drift_file(config.output), drift.to_json())
    return drift


def open_merged_reference(config: ScoringConfig) -> ScoreHistograms | None:
    """The reference of shards before they are merged; None where no model is named.

    Raises:
        ValueError: as `open_reference`, or when another model scored the shards.
    """
    if not config.model:
        return None
    session = NetworkSession(config.model, "cpu")
    manifest = read_manifest(config.output)
    jobs = [folder.job for folder in find_shards(config.output)]
    for job in jobs or ([manifest.job] if manifest else []):
        scored_by = job.settings["model_sha256"]
        if scored_by != session.sha256:
            raise ValueError(
                f"--model={config.model!r} (SHA-256 {session.sha256[:12]}) is not the model that"
                f" scored {config.output!r} ({scored_by[:12]}). Name that one, or leave --model"
                " out: then no drift is measured."
            )
    return open_reference(config, session.description, session.sha256)

"""All that decides the bytes of a job's output."""

import contextlib
import importlib.metadata
from typing import Any

import numpy as np

from export.bundle.description import ModelDescription, hash_labels
from export.bundle.label_groups import groups_to_json
from export.scoring.config import ScoringConfig
from export.scoring.engine.job_record import START_SETTING, Job
from export.scoring.engine.shard_scorer import rows_per_part
from export.scoring.output.rows import Columns
from export.scoring.output.writers import check_output
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.input import Source

# Packages whose version may change the last digits of a score.
_PACKAGES = ("cykooz-resizer", "numpy", "onnxruntime", "onnxruntime-gpu", "pillow", "simplejpeg")


def describe_job(config: ScoringConfig, session: NetworkSession, source: Source) -> Job:
    """The job of a config whose batch size is settled."""
    label_names = session.description.label_names
    columns = Columns(
        label_names,
        source.has_boxes,
        config.logits,
        config.heatmaps != "none",
        min(config.top_k, len(label_names)),
        session.embedding_size if config.embeddings else 0,
        session.has_stability,
    )
    return Job(_settings(config, session, source), columns, source.count)


def _settings(config: ScoringConfig, session: NetworkSession, source: Source) -> dict[str, Any]:
    is_local = config.engine == "local"
    # Ray's parts are its output; local ones end where they may and leave no trace in it.
    parts = {} if is_local else {"rows_per_part": rows_per_part(config)}
    # Only where they are there: so jobs of earlier versions still are the same.
    described = session.description
    more = {
        "top_k": config.top_k,
        "embeddings": config.embeddings,
        "label_groups": groups_to_json(described.label_groups, described.label_names),
        START_SETTING: source.start,
    }
    return {
        "model_sha256": session.sha256,
        "label_names_sha256": hash_labels(session.description.label_names),
        "images_sha256": source.sha256,
        "image_root": config.image_root,
        "format": check_output(config.output) if is_local else ".parquet",
        "thresholds": decision_thresholds(config.threshold, session.description).tolist(),
        "fast_decode": config.fast_decode,
        "batch_size": config.batch_size,
        "logits": config.logits,
        "heatmaps": config.heatmaps,
        "heatmap_labels": config.heatmap_labels,
        "heatmap_margin": config.heatmap_margin,
        # Other machines than this one open the network under Ray.
        "provider": session.provider if is_local else config.providers,
        "versions": _versions(),
        **parts,
        **{name: value for name, value in more.items() if value},
    }


def decision_thresholds(threshold: float, description: ModelDescription) -> np.ndarray:
    """float32 `[L]`: `threshold` for all labels, or below 0 the model's own."""
    thresholds = np.array(description.thresholds, np.float32)
    if threshold >= 0.0:
        thresholds[:] = threshold
    return thresholds


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions

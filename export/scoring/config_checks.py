"""Which flags of score.py go together."""

import dataclasses
import re
from typing import Any

from export.config_fields import check_at_least

STANDARD_OUTPUT = "-"  # Also of --images: the standard input.
_LARGEST_BATCH = 2**20  # Larger ones are slips of the keyboard.
# Each is a job of its own; without any of them score.py scores all images.
_MODES = ("doctor", "describe", "benchmark", "merge", "retry_errors", "convert")
# Flag -> those without any of which it does nothing.
_OWNERS = {
    "ledger": ("only_new",),
    "uncertain_by": ("send_uncertain",),
    "image_prefix": ("convert=label_studio", "send_uncertain"),
    **dict.fromkeys(
        ("heatmap_labels", "heatmap_margin"),
        ("heatmaps=peaks", "heatmaps=maps", "heatmaps=overlays"),
    ),
    "metrics_host": ("metrics_port",),
    **dict.fromkeys(("benchmark_images", "memory_limit_mb"), ("benchmark",)),
    **dict.fromkeys(
        ("ray_address", "ray_actors", "ray_cpus_per_actor", "ray_gpus_per_actor"), ("engine=ray",)
    ),
}


def check_flags(config: Any) -> None:
    """Raises ValueError for flags out of range, that contradict each other, or that do nothing."""
    for check in (
        check_ranges,
        check_engine,
        check_retry,
        check_stream,
        check_columns,
        check_only_new,
        check_drift,
        check_send_uncertain,
        check_owners,
    ):
        check(config)


def check_owners(config: Any) -> None:
    """Raises ValueError for a flag that does nothing without another, which is not given."""
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    for name, owners in _OWNERS.items():
        if getattr(config, name) != defaults[name] and not any(
            _is_given(config, owner) for owner in owners
        ):
            raise ValueError(
                f"--{name} does nothing without --{' or --'.join(owners)}. Give both, or neither."
            )


def _is_given(config: Any, owner: str) -> bool:
    name, _, value = owner.partition("=")
    return getattr(config, name) == value if value else bool(getattr(config, name))


def check_jobs(config: Any) -> None:
    """Raises ValueError for flags of two different jobs."""
    modes = [name for name in _MODES if getattr(config, name)]
    if len(modes) > 1:
        raise ValueError(f"--{modes[0]} and --{modes[1]} are two different jobs. Give one of them.")
    if not modes:
        return
    given = {
        "shard": bool(config.shard),
        "engine=ray": config.engine == "ray",
        "overwrite": config.overwrite and modes != ["merge"],
        "only_new": config.only_new,
    }
    if wrong := [name for name, is_given in given.items() if is_given]:
        raise ValueError(
            f"--{modes[0]} does not go with --{wrong[0]}, which is of jobs that score images."
            " Give only one of them."
        )


def check_retry(config: Any) -> None:
    """Raises ValueError for statuses that are none of a row without scores."""
    names = config.retry_errors.split(",") if config.retry_errors else []
    bad = [name for name in names if not re.fullmatch("[a-z_]+", name.strip())]
    if bad or "ok" in map(str.strip, names):
        raise ValueError(
            f"retry_errors must be statuses other than ok, or all, got {config.retry_errors!r}."
        )


def check_engine(config: Any) -> None:
    """Raises ValueError for what Ray's actors cannot have, or cannot do."""
    check_at_least(1, config, ("ray_actors",))
    if config.ray_cpus_per_actor <= 0.0 or config.ray_gpus_per_actor < 0.0:
        raise ValueError(
            "ray_cpus_per_actor must be above 0 and ray_gpus_per_actor not below 0, got"
            f" {config.ray_cpus_per_actor} and {config.ray_gpus_per_actor}."
        )
    not_with_ray = [name for name in ("shard", "overwrite", "devices") if getattr(config, name)]
    if config.heatmaps in ("maps", "overlays"):
        not_with_ray.append(f"heatmaps={config.heatmaps}")
    if config.engine == "ray" and not_with_ray:
        raise ValueError(
            f"--engine=ray does not go with --{not_with_ray[0]}: the engine itself divides the"
            " job, and its output are Parquet files only."
        )


def check_stream(config: Any) -> None:
    """Raises ValueError for what rows on the standard output cannot be."""
    if not config.is_stream:
        return
    names = (*_MODES, "shard", "overwrite", "only_new")
    wrong = [name for name in names if getattr(config, name)]
    wrong += ["engine=ray"] if config.engine == "ray" else []
    if config.heatmaps in ("maps", "overlays"):
        wrong.append(f"heatmaps={config.heatmaps}")
    if wrong:
        raise ValueError(
            f"--output=- does not go with --{wrong[0]}: rows on the standard output are no file"
            " that could be read again. Give the name of a file."
        )


def check_columns(config: Any) -> None:
    """Raises ValueError for columns that exclude each other."""
    check_at_least(0, config, ("top_k",))
    if config.top_k and config.logits:
        raise ValueError(
            "--top_k does not go with --logits: the one leaves out the columns of most labels, the"
            " other adds one for each. Give one of them."
        )


def check_only_new(config: Any) -> None:
    """Raises ValueError for what a job of new pictures cannot be."""
    if not config.only_new:
        return
    wrong = [name for name in ("shard", "overwrite") if getattr(config, name)]
    wrong += ["engine=ray"] if config.engine == "ray" else []
    if wrong:
        raise ValueError(
            f"--only_new does not go with --{wrong[0]}: one process on this host compares and"
            " records all images, and an output whose rows the ledger knows is not replaced."
        )


def check_drift(config: Any) -> None:
    """Raises ValueError for jobs whose drift is not measured."""
    given = [name for name in ("max_drift", "drift_reference") if getattr(config, name)]
    if config.max_drift < 0.0:
        raise ValueError(f"max_drift must be at least 0, got {config.max_drift}.")
    wrong = [name for name in (*_MODES, "shard") if getattr(config, name)]
    wrong = [name for name in wrong if name not in ("merge", "retry_errors")]
    wrong += ["engine=ray"] if config.engine == "ray" else []
    if given and wrong:
        advice = " Give it to --merge, with --model." if wrong == ["shard"] else ""
        raise ValueError(
            f"--{given[0]} does not go with --{wrong[0]}: a drift is measured of whole outputs of"
            f" the local engine.{advice}"
        )
    if given and config.merge and not config.model:
        raise ValueError(f"--merge with --{given[0]} needs --model, whose labels are compared.")


def check_send_uncertain(config: Any) -> None:
    """Raises ValueError for jobs whose least certain images cannot be chosen."""
    check_at_least(0, config, ("send_uncertain",))
    names = (*_MODES, "shard", "top_k", "is_stream")
    wrong = [name for name in names if getattr(config, name) and name != "retry_errors"]
    wrong += ["engine=ray"] if config.engine == "ray" else []
    if config.send_uncertain and wrong:
        name = "output=-" if wrong[0] == "is_stream" else wrong[0]
        raise ValueError(
            f"--send_uncertain does not go with --{name}: it needs a whole output with the"
            " probability of every label, and its model and images. Repeat the command of the"
            " finished job with --send_uncertain: it scores nothing again."
        )


def check_ranges(config: Any) -> None:
    """Raises ValueError for a number that is out of its range."""
    check_at_least(1, config, ("batch_size", "rows_per_part", "benchmark_images", "max_file_mb"))
    if not 0.0 < config.read_seconds <= 86_400.0:
        raise ValueError(
            f"read_seconds must be above 0 and at most 86400, got {config.read_seconds}."
        )
    check_at_least(0, config, ("decoders", "threads", "decoding_memory_mb", "read_retries"))
    check_at_least(0, config, ("gpu_memory_mb", "memory_limit_mb"))
    if config.batch_size > _LARGEST_BATCH:
        raise ValueError(f"batch_size must be at most {_LARGEST_BATCH}, got {config.batch_size}.")
    if not 0.0 <= config.heatmap_margin < 1.0:
        raise ValueError(f"heatmap_margin must lie in 0..1, got {config.heatmap_margin}.")
    if not 0 <= config.metrics_port < 65536:
        raise ValueError(f"metrics_port must lie in 0..65535, got {config.metrics_port}.")
    if config.threshold >= 1.0:
        raise ValueError(f"threshold must be below 1, got {config.threshold}.")
    if not 0.0 <= config.max_error_share <= 1.0:
        raise ValueError(f"max_error_share must lie between 0 and 1, got {config.max_error_share}.")

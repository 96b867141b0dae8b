"""Which settings a run may go on with changed, and what is said of the others."""

from collections.abc import Collection

from vac_tf.runs.progress import has_stopped_early, is_finished

# What may be changed to go on from the last good state of a run that diverged.
SETTINGS_AGAINST_DIVERGENCE = frozenset({"learning_rate", "gradient_clip_norm"})

# Settings that do not change what a run computes, but for rounding (jit_compile, as another device
# would); they may differ when it is continued.
_FREE_SETTINGS = frozenset(
    {
        "run_dir",
        "imports",
        "cache",
        "cache_dir",
        "cache_content",
        "checkpoint_seconds",
        "check_data",
        "data_dir",
        "evaluation_split",
        "phases",
        "human_observers",
        "keep_epoch_networks",
        "keep_states",
        "profile_steps",
        "progress_steps",
        "tensorboard",
        "tensorboard_images",
        "tensorboard_steps",
        "jit_compile",
        "steps_per_execution",
        "strategy",
        "connection_seconds",
    }
)

# Settings that runs made before them lack, with the value that says what those runs did.
_YOUNGER_SETTINGS = {
    "imports": "",
    "label_columns": "",
    "rap_partition": 1,
    "ignore_columns": "",
    "label_groups": "",
    "soft_labels": False,
    "weight_column": "",
    "repeated_images": "first",
    "group_column": "",
    "group_file": "",
    "init_run": "",
    "folds": 0,
    "fold": -1,
    "scaled_view": "view",
    "consistency_form": "squared_error",
    "consistency_ramp": 0.0,
    "sampled_transform": False,
    "consistency_target": "both",
    "accumulate_steps": 1,
    "synchronized_batch_norm": False,
    "round_inputs": False,
    "label_smoothing": 0.0,
    "label_weights": "exponential",
    "focusing_positive": 0.0,
    "focusing_negative": 4.0,
    "probability_margin": 0.05,
    "detach_focusing": False,
    "focal_focusing": 2.0,
    "focal_balance": 0.25,
    "backbone_learning_rate_scale": 1.0,
    "frozen_epochs": 0,
    "augment_layers": "",
    "quantization_aware": False,
    "teacher": "",
    "teacher_logits_weight": 1.0,
    "teacher_heatmaps_weight": 1.0,
    "teacher_temperature": 2.0,
    "attention_weight": 0.1,
    "attention_temperature": 1.0,
    "keep_states": 2,
}

_FIXED_PHASES = (
    "The epochs of a dual-stream training stay: each phase began with what those before it became."
    " Train further phases in another --run_dir, from --trunk_run={0}/phase_1a and"
    " --branch_run={0}/phase_1b."
)


def with_younger_settings(written: dict, wanted: dict) -> dict:
    """The config that a run began with, with what `wanted` has and its version had not yet."""
    # AdamW decayed every weight; of all other runs the setting says nothing.
    decayed = written.get("optimizer") == "adamw" and bool(written.get("weight_decay"))
    younger = _YOUNGER_SETTINGS | {"decay_all_weights": decayed}
    return {name: younger[name] for name in younger if name in wanted} | written


def changed_settings(written: dict, wanted: dict) -> set[str]:
    """The settings that decide a result and differ between two configs."""
    names = set(written) | set(wanted)
    return {name for name in names if written.get(name) != wanted.get(name)} - _FREE_SETTINGS


def check_changes(
    run_dir: str,
    written: dict,
    wanted: dict,
    progress: dict | None,
    may_differ: Collection[str] = (),
) -> None:
    """Checks that a run may go on with another config.

    A finished run may have more epochs; one that stopped early may wait longer for a better
    network.

    Args:
        run_dir: its folder.
        written: the config that it began with.
        wanted: the config that it is to go on with.
        progress: how far it is; None before its first state.
        may_differ: further settings that may.

    Raises:
        ValueError: listing every difference that is not allowed.
    """
    refused = changed_settings(written, wanted) - set(may_differ)
    refused -= _longer_ends(written, wanted, progress)
    if refused:
        lines = [f"Run folder {run_dir!r} belongs to another config:"]
        for name in sorted(refused):
            there, now = (config.get(name, "absent") for config in (written, wanted))
            lines.append(f"  {name}: {there!r} there, {now!r} now")
        lines += _why_no_more_epochs(run_dir, refused, written, wanted, progress)
        lines.append("Use the same flags to continue it, or another --run_dir.")
        raise ValueError("\n".join(lines))


def _longer_ends(written, wanted, progress) -> set[str]:
    """The settings of a finished run that let it go on."""
    epochs, patience = _end(written)
    if progress is None or not is_finished(progress, epochs, patience):
        return set()
    names, (more_epochs, more_patience) = set(), _end(wanted)
    if more_epochs > epochs and not has_stopped_early(progress, more_patience):
        names.add("epochs")
    if patience and (more_patience > patience or not more_patience):
        names.add("early_stopping_epochs")
    return names


def _why_no_more_epochs(run_dir, refused, written, wanted, progress) -> list[str]:
    if progress is None:
        is_dual_stream = written.get("model") == "dual_stream"
        has_other_epochs = any(name.endswith("epochs") for name in refused)
        return [_FIXED_PHASES.format(run_dir)] if is_dual_stream and has_other_epochs else []
    (epochs, _), (more_epochs, patience) = _end(written), _end(wanted)
    if "epochs" not in refused or more_epochs < epochs:
        return []
    if has_stopped_early(progress, patience):
        return [
            f"It stopped early, {progress['epoch'] - progress['best_epoch']} epochs after its best"
            " network: more epochs need a larger --early_stopping_epochs (0: never) as well."
        ]
    return [f"More epochs are for a finished run; of this one {progress['epoch']} are done."]


def _end(config) -> tuple[float, int]:
    """Epochs and early stopping of a config; no end where a damaged file holds no numbers."""
    end = config.get("epochs"), config.get("early_stopping_epochs")
    return end if all(isinstance(number, int) for number in end) else (float("inf"), 0)

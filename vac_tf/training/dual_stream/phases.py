"""The phases of a dual-stream training, each as the config of one run.

Dual-stream paper, Section 5.1. Phase 1a trains the trunk and 1b the branch, both as classifiers; 2
trains the joint layer over both, frozen; 3 trains everything.
"""

import dataclasses
import os

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.training.dual_stream import DUAL_STREAM_SETTINGS, PHASE_SETTINGS

PHASES = ("1a", "1b", "2", "3")
_PREDECESSORS = {"1a": (), "1b": (), "2": ("1a", "1b"), "3": ("2",)}


def parse_phases(phases: str) -> tuple[str, ...]:
    """`"1a,1b,2,3"` or a part of it, in this order.

    Raises:
        ValueError: an unknown phase, one named twice, or another order.
    """
    names = tuple(name.strip() for name in phases.split(","))
    unknown = [name for name in names if name not in PHASES]
    if unknown:
        raise ValueError(
            f"Unknown phase {unknown[0]!r} in phases {phases!r}. Known phases: {', '.join(PHASES)}."
        )
    if list(names) != sorted(set(names)):
        raise ValueError(
            f"phases must come in the order {','.join(PHASES)}, each once, got {phases!r}."
        )
    return names


def plan_phases(config: TrainConfig, finished: set[str]) -> tuple[str, ...]:
    """The phases to train: those asked for, without the ones that a given run replaces.

    Args:
        config: Of the whole training.
        finished: Phases that the run folder holds already.

    Raises:
        ValueError: phases out of order, a phase without those before it, or given runs that
            contradict the phases or each other.
    """
    given = {"1a": config.trunk_run, "1b": config.branch_run}
    planned = tuple(name for name in parse_phases(config.phases) if not given.get(name))
    for number, phase in enumerate(planned):
        for needed in _PREDECESSORS[phase]:
            if not (given.get(needed) or needed in planned[:number] or needed in finished):
                raise ValueError(
                    f"Phase {phase} needs phase {needed}, which is neither asked for in phases"
                    f" {config.phases!r} nor finished in {config.run_dir!r}."
                    + _INSTEAD.get(needed, "")
                )
    if not planned:
        raise ValueError(
            f"Nothing to train: trunk_run and branch_run replace all of phases {config.phases!r}."
        )
    _check_start_of_branch(config, planned)
    return planned


_INSTEAD = {
    "1a": " Add it, or give --trunk_run, a classifier's run.",
    "1b": " Add it, or give --branch_run, a classifier's run.",
}


def _check_start_of_branch(config, planned):
    from_saliency = config.branch_initialization == "saliency"
    if config.branch_run and config.saliency_run:
        raise ValueError(
            "branch_run replaces phase 1b, the only one that saliency_run starts; give one of them."
        )
    if config.saliency_run and not from_saliency:
        raise ValueError(
            f"branch_initialization {config.branch_initialization!r} is the control without"
            " saliency, but saliency_run is given; give one of them."
        )
    if "1b" in planned and from_saliency and not config.saliency_run:
        raise ValueError(
            "Phase 1b starts from a saliency network: give --saliency_run, a run folder of"
            " train_saliency.py, or --branch_initialization=backbone_weights for the control"
            " without saliency."
        )


def phase_dir(config: TrainConfig, phase: str) -> str:
    """Run folder of one phase."""
    return os.path.join(config.run_dir, f"phase_{phase}")


def phase_config(config: TrainConfig, phase: str) -> TrainConfig:
    """The config of the run that is one phase of a dual-stream training.

    Phases 1a and 1b are runs of classifiers. The branch has the next seed, so that without
    saliency it is another network than the trunk; the held-out images are those of the trunk.
    """
    shared = {
        "run_dir": phase_dir(config, phase),
        "split_seed": config.held_out_seed,
    }
    if config.cache == "disk":
        shared["cache_dir"] = config.cache_dir or os.path.join(config.run_dir, "image_cache")
    if phase in ("2", "3"):
        epochs, rate = (
            getattr(config, f"phase{phase}_{name}") for name in ("epochs", "learning_rate")
        )
        # Phase 2 has its own way of freezing, which nothing may undo.
        shared |= {"phases": phase, "epochs": epochs or config.epochs, "frozen_epochs": 0}
        return dataclasses.replace(config, **shared, learning_rate=rate or config.learning_rate)
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    reset = (*DUAL_STREAM_SETTINGS, *PHASE_SETTINGS, "model", "saliency_run")
    shared |= {name: defaults[name] for name in reset}
    if phase == "1b":
        shared |= _branch_settings(config)
    return dataclasses.replace(config, **shared)


def _branch_settings(config):
    settings = {
        "backbone": config.backbones[1],
        "seed": config.seed + 1,
        "epochs": config.phase1b_epochs or config.epochs,
        "learning_rate": config.phase1b_learning_rate or config.learning_rate,
        "saliency_run": config.saliency_run,
    }
    # The saliency network has learnt from such weights already.
    return settings | ({"backbone_weights": "none"} if config.saliency_run else {})

"""The teacher of a run: what fits it, and how it is told apart from another one."""

import dataclasses
import os
from collections.abc import Sequence

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.label_groups.group import LabelGroup, groups_to_json
from vac_tf.configs.training.distillation import DistillationSettings
from vac_tf.geometry.transforms import Scaling, parse_transforms
from vac_tf.runs.teacher import Teacher, read_teacher
from vac_tf.training.distillation.terms import Distillation
from vac_tf.training.step.compiled_trainer import uses_xla

_SHOWN = 8  # labels that a message names


def check_distillation(config: TrainConfig) -> None:
    """Checks the settings of distillation, before data or teacher are read.

    Raises:
        ValueError: settings of a teacher without one, one that teaches nothing or the run itself,
            or a training that cannot be taught.
    """
    if not config.teacher:
        for field in dataclasses.fields(DistillationSettings):
            if getattr(config, field.name) != field.default:
                raise ValueError(f"{field.name} is a setting of teacher: add --teacher=RUN.")
        return
    if config.model != "classifier":
        raise ValueError(
            f"teacher {config.teacher!r} teaches a classifier, got model {config.model!r}: leave"
            " --teacher out, or use --model=classifier."
        )
    if os.path.abspath(config.teacher) == os.path.abspath(config.run_dir):
        raise ValueError(f"teacher {config.teacher!r} is --run_dir itself: give another run.")
    if not (config.teacher_logits_weight or config.teacher_heatmaps_weight):
        raise ValueError(
            "teacher_logits_weight and teacher_heatmaps_weight are both 0: the teacher would teach"
            " nothing. Give one of them, or leave --teacher out."
        )
    augmentation = parse_transforms(config.augment, config.resize_kernel)
    if config.teacher_heatmaps_weight and any(isinstance(t, Scaling) for t in augmentation):
        raise ValueError(
            f"augment {config.augment!r} makes batches of several image sizes, but the teacher's"
            " heatmaps are resized to one grid; put the scaling into transforms, with weight 0, or"
            " add --teacher_heatmaps_weight=0."
        )


def start_distillation(
    config: TrainConfig, label_names: Sequence[str], label_groups: Sequence[LabelGroup]
) -> Distillation | None:
    """What a run learns from its teacher, which is read; None for a run without one.

    Args:
        config: of the run.
        label_names: of the run, in the order of its outputs.
        label_groups: of the run.

    Raises:
        ValueError: no teacher there, one of other labels, or one that such a run cannot ask.
    """
    if not config.teacher:
        return None
    teacher = read_teacher(config.teacher)
    _check_labels(teacher, label_names, label_groups)
    if not teacher.is_in_graph and (config.strategy != "none" or uses_xla(config.jit_compile)):
        raise ValueError(
            f"teacher {config.teacher!r} is no network of TensorFlow: each step asks it through"
            f" Python, which neither XLA (jit_compile {config.jit_compile!r}) nor several replicas"
            f" (strategy {config.strategy!r}) can. Give the run that it was exported from, or leave"
            " these settings out."
        )
    return Distillation(
        teacher,
        tuple(teacher.label_names.index(name) for name in label_names),
        config.teacher_logits_weight,
        config.teacher_heatmaps_weight,
        config.teacher_temperature,
        tuple(label_groups),
    )


def describe_teacher(config: TrainConfig, distillation: Distillation) -> str:
    """Who teaches, and what is learnt from it, in words."""
    teacher = distillation.teacher
    enlarged = ""
    if teacher.image_size != config.image_size:
        enlarged = f", to which the {config.image_size} of this run are resized"
    weights = ", ".join(f"{name} {weight:g}" for name, weight in distillation.weights.items())
    return (
        f"Taught by {teacher.path}: {len(distillation.columns)} labels, images of"
        f" {teacher.image_size} pixels{enlarged}; weights: {weights}."
    )


def _check_labels(teacher: Teacher, label_names, label_groups):
    missing = [name for name in label_names if name not in teacher.label_names]
    extra = [name for name in teacher.label_names if name not in label_names]
    if missing or extra:
        found = {"it lacks": missing, "it has, and this run has not,": extra}
        parts = [f"{what} {_listed(names)}" for what, names in found.items() if names]
        raise ValueError(
            f"teacher {teacher.path!r} has other labels: {'; '.join(parts)}. Expected the"
            f" {len(label_names)} labels of this run, in any order: train a teacher on them, or"
            " choose the same labels here (--label_columns)."
        )
    theirs = _by_name(teacher.label_groups, teacher.label_names)
    ours = _by_name(label_groups, label_names)
    if theirs != ours:
        raise ValueError(
            f"teacher {teacher.path!r} has the label groups {theirs or 'none'}, this run"
            f" {ours or 'none'}: its logits mean something else. Give both the same --label_groups."
        )


def _by_name(groups, label_names):
    return {
        each["name"]: (sorted(each["labels"]), each["at_most_one"])
        for each in groups_to_json(groups, label_names)
    }


def _listed(names):
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, names[:_SHOWN])) + more

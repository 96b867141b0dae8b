"""The settings of distillation: a network that teaches another one."""

import dataclasses

from vac_tf.configs.fields import setting


@dataclasses.dataclass(frozen=True)
class DistillationSettings:
    """A trained network beside the one that learns, and what is learnt from it."""

    teacher: str = setting(
        "",
        "Run folder of a classifier of the same labels, in any order, or the model.onnx of its"
        " bundle: its logits and heatmaps are learnt beside the labels.",
    )
    teacher_logits_weight: float = setting(
        1.0, "Weight of the distance to the teacher's logits; 0: they are not learnt.", at_least=0
    )
    teacher_heatmaps_weight: float = setting(
        1.0,
        "Weight of the distance to the teacher's heatmaps, each of norm 1; 0: they are not learnt.",
        at_least=0,
    )
    teacher_temperature: float = setting(
        2.0, "What the logits of both are divided by before they are compared.", above=0
    )

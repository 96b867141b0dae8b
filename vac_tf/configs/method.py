"""The settings of the method: transforms, what must be consistent."""

import dataclasses

from vac_tf.configs.fields import setting


@dataclasses.dataclass(frozen=True)
class MethodSettings:
    """Visual Attention Consistency, and plain augmentation by the same transforms."""

    transforms: str = setting(
        "", "Transforms of the second branch, such as hflip,scale:192,rotate:1,translate:32:0."
    )
    consistency_weight: str = setting(
        "1", "Weight of the consistency loss: one number, or per transform: hflip:0.6,scale:0.8."
    )
    consistency_level: str = setting(
        "heatmaps", "What must be consistent.", ("features", "heatmaps", "logits")
    )
    pairs: str = setting(
        "star",
        "star: the original against each transform; grid: the release's four views of one flip"
        " and one scale.",
        ("star", "grid"),
    )
    scaled_view: str = setting(
        "view",
        "What the views of scale transforms are resized from: the network's input (view) or, as the"
        " 2019 release, the photograph.",
        ("view", "photograph"),
    )
    augment: str = setting("", "Plain augmentation with the same transforms, such as hflip.")
    augment_mode: str = setting(
        "random",
        "random: each transform with probability 0.5; union: every epoch holds the original and"
        " each transformed version.",
        ("random", "union"),
    )

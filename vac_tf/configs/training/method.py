"""The settings of the method: transforms, what must be consistent."""

import dataclasses

from vac_tf.configs.fields import setting


@dataclasses.dataclass(frozen=True)
class MethodSettings:
    """Visual Attention Consistency, and plain augmentation by the same transforms."""

    transforms: str = setting(
        "",
        "Transforms of the second branch, such as hflip,scale:192; of hflip, vflip, scale:PIXELS,"
        " rotate:QUARTER_TURNS, translate:ROWS:COLUMNS (pixels),"
        " affine:DEGREES:SCALE_ROWS:SCALE_COLUMNS:SHEAR:ROWS:COLUMNS (shifts as parts of a side)"
        " and splice:CELLS (a grid of images of the batch, SpliceMix).",
    )
    consistency_weight: str = setting(
        "1", "Weight of the consistency loss: one number, or per transform: hflip:0.6,scale:0.8."
    )
    consistency_ramp: float = setting(
        0.0,
        "Epochs over which the consistency weight rises from 0, linearly; 0: it is there at once.",
        at_least=0,
    )
    consistency_level: str = setting(
        "heatmaps", "What must be consistent.", ("features", "heatmaps", "logits")
    )
    consistency_form: str = setting(
        "squared_error",
        "How the maps of two views are compared: squared_error (the paper); variance_normalized,"
        " divided by their own variance; positive_squared_error, of present labels only;"
        " balanced_squared_error, present labels weigh as much as absent ones;"
        " positive_absolute_error (Puzzle-CAM); hard_pixels (SEAM); jensen_shannon, of spatial"
        " softmaxes; acvc, that of present labels, absent ones flattened (ACVC); sigmoid_cells, of"
        " cells' probabilities.",
        (
            "squared_error",
            "variance_normalized",
            "positive_squared_error",
            "balanced_squared_error",
            "positive_absolute_error",
            "hard_pixels",
            "jensen_shannon",
            "acvc",
            "sigmoid_cells",
        ),
    )
    consistency_target: str = setting(
        "both",
        "What the consistency loss moves: both views; only the transformed one, towards the"
        " original's maps (stop_gradient); that one, towards the original's maps of the averaged"
        " weights (ema_teacher, with --ema_decay).",
        ("both", "stop_gradient", "ema_teacher"),
    )
    sampled_transform: bool = setting(
        False,
        "Show one of the transforms a training step, each with the same probability, at the cost of"
        " two views; its term counts as often as there are transforms.",
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

"""What must be consistent between the views of an image, and how that is judged."""

import dataclasses

from vac_tf.geometry.transforms import Transform
from vac_tf.losses.consistency import get_form
from vac_tf.training.consistency.drawing import check_drawing
from vac_tf.training.consistency.views import PAIRS, check_grid

LEVELS = ("features", "heatmaps", "logits")
TARGETS = ("both", "stop_gradient", "ema_teacher")


@dataclasses.dataclass(frozen=True)
class Consistency:
    """The consistency loss of `ConsistencyTrainer` (VAC paper, Equations 5 to 7).

    Args:
        weights: Weight of each transform's term, by `Transform.spec`; None: all 1; 0 keeps the
            view and its classification loss only.
        pairs: `"star"`: the original against each transform. `"grid"`: the authors' release for
            one flip and one scaling: four views, flip inside each scale (both terms added), scale
            across both flips.
        level: What must be consistent: `"features"`, `"heatmaps"` or `"logits"` (Table 3).
        form: How two views are compared, see `vac_tf.losses.consistency`.
        target: Which view of a pair learns from the other in training: `"both"`;
            `"stop_gradient"`: the second one, the first is given (the side of SimSiam, Chen & He,
            CVPR 2021); `"ema_teacher"`: the second one, from the first as the averages of the
            weights that the optimizer keeps see it (Mean Teacher, Tarvainen & Valpola, NeurIPS
            2017).
        ramp_steps: Steps of the optimizer over which the weights rise from 0, linearly; 0: they are
            there from the first one.
        drawing_seed: Each training step shows one of the transforms, drawn by this seed and the
            step, and its term counts as often as there are transforms: the mean of the consistency
            loss over many steps is that of all transforms. None: every step shows all of them.

    Raises:
        ValueError: an unknown level, form, target or pairs, or a form that does not fit the level.
    """

    weights: dict[str, float] | None = None
    pairs: str = "star"
    level: str = "heatmaps"
    form: str = "squared_error"
    target: str = "both"
    ramp_steps: float = 0.0
    drawing_seed: int | None = None

    def __post_init__(self):
        _check(self.pairs, PAIRS, "pairs")
        _check(self.level, LEVELS, "consistency_level")
        _check(self.target, TARGETS, "consistency_target")
        get_form(self.form, self.level)

    def check_transforms(self, transforms: tuple[Transform, ...]) -> None:
        """Raises ValueError for transforms that do not fit: of `grid`, drawing or the level."""
        check_level(self.level, transforms)
        if self.pairs == "grid":
            check_grid(transforms)
        if self.drawing_seed is not None:
            check_drawing(transforms, self.pairs)

    def weights_of(self, transforms: tuple[Transform, ...]) -> dict[str, float]:
        """The weight of each transform's term, by `spec`."""
        return self.weights or {transform.spec: 1.0 for transform in transforms}


def check_level(level: str, transforms: tuple[Transform, ...]) -> None:
    """Raises ValueError for views of several images whose logits are to be consistent."""
    mixing = [transform.spec for transform in transforms if transform.mixes_images]
    if mixing and level == "logits":
        raise ValueError(
            f"{mixing[0]} shows several images in one, whose logits should be those of none of"
            " them: use consistency_level 'heatmaps' or 'features', or another transform."
        )


def _check(value, known, name):
    if value not in known:
        raise ValueError(f"Unknown {name} {value!r}. Expected one of: {', '.join(known)}.")

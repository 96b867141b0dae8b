"""The settings of the classification loss."""

import dataclasses

from vac_tf.configs.fields import setting

# Loss -> the settings that are its own; each belongs to one loss. A registered one has none.
SETTINGS_OF_A_LOSS = {
    "weighted_sigmoid_cross_entropy": ("label_weights",),
    "sigmoid_cross_entropy": (),
    "multiple_cross_entropy": (),
    "asymmetric": (
        *("focusing_positive", "focusing_negative", "probability_margin"),
        "detach_focusing",
    ),
    "focal": ("focal_focusing", "focal_balance"),
}


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """Which loss classification is trained by, and its parameters."""

    loss: str = setting(
        "weighted_sigmoid_cross_entropy",
        "Classification loss; multiple_cross_entropy is a two-way softmax per label.",
        SETTINGS_OF_A_LOSS,
        may_be_given=True,
    )
    label_smoothing: float = setting(
        0.0,
        "Draw labels towards 1/2, with every loss: a positive becomes 1 - label_smoothing/2.",
        at_least=0,
        below=1,
    )
    label_weights: str = setting(
        "exponential",
        "Of weighted_sigmoid_cross_entropy: weights of positives and negatives of a label with"
        " proportion p of positives: exponential (the paper's), square_root, balanced (1-p, p) or"
        " inverse ((1-p)/p, 1).",
        ("exponential", "square_root", "balanced", "inverse"),
    )
    focusing_positive: float = setting(
        0.0, "Of asymmetric: focusing on hard positives (gamma+).", at_least=0
    )
    focusing_negative: float = setting(
        4.0, "Of asymmetric: focusing on hard negatives (gamma-).", at_least=0
    )
    probability_margin: float = setting(
        0.05,
        "Of asymmetric: negatives of a probability below it cost nothing.",
        at_least=0,
        below=1,
    )
    detach_focusing: bool = setting(
        False, "Of asymmetric: no gradient through the focusing factors (as the authors' release)."
    )
    focal_focusing: float = setting(2.0, "Of focal: focusing on what is hard (gamma).", at_least=0)
    focal_balance: float = setting(
        0.25,
        "Of focal: weight of positives, negatives weigh 1 minus it (alpha); 0: both weigh 1.",
        at_least=0,
        below=1,
    )

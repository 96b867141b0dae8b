"""The settings of a training of both streams in phases."""

import dataclasses

from vac_tf.configs.fields import setting

# Settings that mean something for a dual-stream training only. A classifier's recipe may share the
# second kind with it.
DUAL_STREAM_SETTINGS = ("phases", "trunk_run", "branch_run", "branch_initialization")
DUAL_STREAM_SETTINGS += ("branch_backbone", "fusion_init")
PHASE_SETTINGS = tuple(
    f"{phase}_{name}"
    for phase in ("phase1b", "phase2", "phase3")
    for name in ("epochs", "learning_rate")
)


@dataclasses.dataclass(frozen=True)
class DualStreamSettings:
    """What only `--model=dual_stream` uses."""

    phases: str = setting(
        "1a,1b,2,3",
        "Phases to train, in this order: trunk (1a), branch (1b), the joint layer over both, frozen"
        " (2), everything (3). Each is a run in RUN_DIR/phase_*; a finished one is not repeated.",
    )
    trunk_run: str = setting("", "Run folder of a classifier to use instead of phase 1a.")
    branch_run: str = setting("", "Run folder of a classifier to use instead of phase 1b.")
    branch_initialization: str = setting(
        "saliency",
        "Start of phase 1b: --saliency_run, or the control without saliency: --backbone_weights"
        " and another seed than the trunk's.",
        ("saliency", "backbone_weights"),
    )
    branch_backbone: str = setting("", "Backbone of the branch (default: as --backbone).")
    fusion_init: str = setting(
        "heads",
        "Start of the joint layer: heads (each logit is the mean of both streams' own) or random.",
        ("heads", "random"),
    )
    phase1b_epochs: int = setting(0, "Epochs of phase 1b; 0: as --epochs.", at_least=0)
    phase1b_learning_rate: float = setting(0.0, "Of phase 1b; 0: as --learning_rate.", at_least=0)
    phase2_epochs: int = setting(0, "Epochs of phase 2; 0: as --epochs.", at_least=0)
    phase2_learning_rate: float = setting(
        1e-5, "Of phase 2; the default is the paper's.", at_least=0
    )
    phase3_epochs: int = setting(0, "Epochs of phase 3; 0: as --epochs.", at_least=0)
    phase3_learning_rate: float = setting(
        1e-6, "Of phase 3; the default is the paper's.", at_least=0
    )

"""Configuration of the analysis of attention against classification."""

import dataclasses

from vac_tf.configs.extensions import IMPORT_HELP
from vac_tf.configs.fields import LARGEST_BATCH, check_fields, setting


@dataclasses.dataclass(frozen=True)
class AnalysisConfig:
    """One analysis: which model, on which images, beside which other model and which attention."""

    imports: str = setting("", IMPORT_HELP, flag="import")
    run_dir: str = setting("", "Folder of the run of train.py to analyse.")
    baseline_run_dir: str = setting("", "Folder of a second run, to compare with.")
    scores: str = setting(
        "",
        "Analyse this output of score.py (.parquet, .csv or .jsonl) instead of a run; what needs"
        " heatmaps is left out.",
    )
    baseline_scores: str = setting("", "Output of score.py of a second model, to compare with.")

    # Images and their objects
    dataset: str = setting(
        "",
        "Dataset format (default: as the run's config says; coco of --scores).",
        ("", "coco", "voc", "scenes"),
    )
    data_dir: str = setting("", "Where the dataset lies (default: as the run's config says).")
    split: str = setting(
        "",
        "Split with object masks (of voc boxes); several are joined: train+val (default: val of"
        " coco, test of others).",
    )
    max_images: int = setting(0, "Use only the first so many images; 0: all.", at_least=0)
    skip_bad_images: bool = setting(
        False,
        "Leave images out that cannot be read or have no score, counted, instead of stopping.",
    )

    # Attention
    saliency_run: str = setting("", "Folder of a run of train_saliency.py: predicted saliency.")
    fixations_dir: str = setting(
        "",
        "Fixations on the very images, matched by file name: SALICON, or data in its layout.",
    )
    fixations_split: str = setting("", "Split of the fixations (default: the names of --split).")
    simulated_fixations: bool = setting(
        True, "scenes without --fixations_dir: use the SIMULATED fixations, called so throughout."
    )

    # Statistics
    causal_images: int = setting(
        0,
        "Measure insertion and deletion (does what a heatmap marks make the score?) on the first so"
        " many images: 42 predictions per present label; 0: none.",
        at_least=0,
    )
    threshold: float = setting(
        -1.0,
        "A label is predicted when its probability is above this; below 0: by the thresholds tuned"
        " for the run, 0.5 where there are none, and by the decisions of the file for --scores.",
        below=1,
    )
    bootstrap_samples: int = setting(
        1000, "Samples of images for every bootstrap interval.", at_least=1
    )
    seed: int = setting(
        0, "Seed of whatever is drawn: bootstrap samples, negatives of AUCs.", at_least=0
    )

    output_dir: str = setting("", "Folder to write to (default: RUN_DIR/analysis).")
    panels: int = setting(6, "Most images per figure of heatmaps; 0: no such figures.", at_least=0)
    batch_size: int = setting(
        32, "Images per step of the networks.", at_least=1, at_most=LARGEST_BATCH
    )

    def __post_init__(self):
        check_fields(self)
        if bool(self.run_dir) == bool(self.scores):
            raise ValueError(
                "Give either run_dir, a run of train.py, or scores, what score.py wrote."
            )
        if self.baseline_run_dir and self.baseline_scores:
            raise ValueError("Give either baseline_run_dir or baseline_scores: one second model.")
        if self.scores and not self.data_dir:
            raise ValueError("scores need data_dir, the folder of the images and their objects.")
        if self.scores and not self.output_dir:
            raise ValueError("scores need output_dir, the folder that the analysis is written to.")

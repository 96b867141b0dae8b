"""The settings of one evaluation."""

import dataclasses

from vac_tf.configs.classification import UNKNOWN_POLICIES
from vac_tf.configs.extensions import IMPORT_HELP
from vac_tf.configs.fields import LARGEST_BATCH, check_fields, given_settings, setting

# Settings of tuning, of tuning or calibrating, and of the page.
_OF_TUNING = ("threshold_objective", "force_thresholds")
_OF_FITTING = ("threshold_folds", "threshold_shrinkage")
_OF_REPORT = ("report_labels", "compare_with")


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """One evaluation of a finished (or interrupted) run on one split."""

    imports: str = setting("", IMPORT_HELP, flag="import")
    run_dir: str = setting("", "Folder of the run to evaluate.")
    split: str = setting(
        "",
        "Split to evaluate on, as --train_split names splits; or validation_part, the images that"
        " selected the best network; of a run of --folds also out_of_fold, the images of the fold"
        " that it was trained without. Default: the split that papers report on (test; val of"
        " coco); to tune and to calibrate: validation_part.",
    )
    dataset: str = setting(
        "", "Dataset format of other data than the run's (default: as the run's config says)."
    )
    data_dir: str = setting("", "Where the dataset lies now (default: as the run's config says).")
    label_groups: str = setting(
        "",
        "Groups to measure a run by, as those of training are given: the right label of each, and"
        " decisions that contradict it. Default: the run's own; the run decides as it was trained.",
    )
    average_precision: str = setting(
        "step", "Convention of average precision.", ("step", "voc12", "voc07")
    )
    unknown_labels: str = setting(
        "",
        "Unknown labels in the metrics (default: as the run's config says).",
        ("", *UNKNOWN_POLICIES),
    )
    threshold: float = setting(
        0.5, "A label is predicted when its probability is above this.", at_least=0, at_most=1
    )
    tune_thresholds: bool = setting(
        False, "Tune one threshold per label, into the run's thresholds.json."
    )
    threshold_objective: str = setting(
        "f1",
        "What thresholds are tuned for: f1, fbeta:2, precision:0.9 (the largest recall at this"
        " precision or more) or alarm_rate:0.01 (this share of the images).",
    )
    threshold_folds: int = setting(
        5, "Folds of the cross-fitting that measures the gain.", at_least=2
    )
    threshold_shrinkage: float = setting(
        10.0,
        "Positives with which a label lies half-way between its own threshold and that of all"
        " labels (and so its calibration); 0: every label on its own.",
        at_least=0,
    )
    force_thresholds: bool = setting(
        False,
        "Tune every label. Without it a label keeps --threshold where the cross-fitted gain of its"
        " F-beta is not surely above 0, or where it would be decided on far more images than have"
        " it; the verdict is in thresholds.json either way.",
    )
    calibrate: str = setting(
        "none",
        "Calibrate the probabilities of each label, into thresholds.json: by a temperature, or by"
        " a scale and an offset (platt), which also undoes what a weighted loss does to the odds.",
        ("none", "temperature", "platt"),
    )
    inconsistency: bool = setting(True, "Measure heatmap inconsistency (paper, Table 2).")
    robustness: bool = setting(
        False,
        "Measure mAP and changed decisions on mirrored, shifted, rescaled, cropped, compressed and"
        " darkened images (about six evaluations more), and the calibration error.",
    )
    save_scores: bool = setting(
        False, "Keep labels and logits of every image in RUN_DIR/scores.npz, to compare runs by."
    )
    report: bool = setting(True, "Write RUN_DIR/report.html, a page to look at and to pass on.")
    report_labels: str = setting(
        "",
        "Labels whose images the page shows beside the 40 of the lowest average precision: a,b; or"
        " all, with the pictures of the others in RUN_DIR/report_files.",
    )
    compare_with: str = setting(
        "",
        "Run folders, separated by commas, that the page compares this run with on the same images:"
        " differences with paired intervals, gains per label, heatmaps side by side.",
    )
    saliency_run: str = setting(
        "",
        "Run folder of train_saliency.py: also evaluate the classifier (of average pooling) with"
        " its heatmaps weighted by where people look.",
    )
    tta: str = setting(
        "",
        "Test-time views beside the image itself, such as hflip,scale:256: logits and heatmaps are"
        " averaged, as export_model.py --tta does.",
    )
    batch_size: int = setting(64, "Images per step.", at_least=1, at_most=LARGEST_BATCH)
    max_images: int = setting(0, "Use only the first so many images; 0: all.", at_least=0)
    skip_bad_images: bool = setting(
        False, "Leave unreadable or missing images out, counted and listed, instead of stopping."
    )

    def __post_init__(self):
        # Found out here, not after an hour of predictions.
        check_fields(self)
        if not self.run_dir:
            raise ValueError("run_dir is needed: the folder that train.py wrote.")
        self._refuse_without(self.tune_thresholds, "--tune_thresholds", *_OF_TUNING)
        self._refuse_without(self.tunes, "--tune_thresholds or --calibrate", *_OF_FITTING)
        self._refuse_without(self.report, "the page: leave --noreport out", *_OF_REPORT)
        if self.tta and (self.tunes or self.saliency_run):
            raise ValueError(
                f"tta {self.tta!r}: thresholds are those of the network alone, as are heatmaps that"
                " a saliency_run weights; leave tta out to tune, to calibrate or to weight."
            )

    def _refuse_without(self, is_there: bool, needed: str, *names: str):
        """Refuses settings that would do nothing without another one."""
        given = [] if is_there else given_settings(self, names)
        if given:
            value = getattr(self, given[0])
            raise ValueError(f"{given[0]} {value!r} does nothing without {needed}.")

    @property
    def tunes(self) -> bool:
        """Whether thresholds.json is to be written."""
        return self.tune_thresholds or self.calibrate != "none"

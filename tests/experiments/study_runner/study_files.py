"""A small study file, and raw results as a study writes them."""

import numpy as np

from experiments.study_runner.statistics import bootstrap_draws, unit_draws

FILE = """
title = "Scenes in small"
question = "Does it run?"
data = "scenes"
training_images = 48
seeds = [0, 1]
seconds_per_row = 10

[shared]
scenes_train_images = 48
scenes_image_size = 32
image_size = 32
batch_size = 8
epochs = 1

[evaluation]
split = "test"
robustness = true

[rows.control]
name = "control"
flags = { transforms = "hflip", consistency_weight = 0 }

[rows.weak]
name = "weight 0.1"
flags = { transforms = "hflip", consistency_weight = 0.1 }

[rows.strong]
name = "weight 1"
seeds = [0]
flags = { transforms = "hflip", consistency_weight = 1 }

[[tables]]
title = "First"
rows = ["control", "strong"]

[[tables]]
title = "Weight"
rows = ["weak", "strong"]

[[choices]]
key = "chosen"
name = "The weight"
rows = ["weak", "strong"]

[[comparisons]]
baseline = "control"
rows = ["weak", "strong", "chosen"]
by_label = true
"""

# Rows of another draw, of an average, and of the average's run again.
AVERAGED = """
[rows.other]
seed_offset = 100
flags = { transforms = "hflip" }

[rows.soup]
program = "average_runs.py"
needs = ["weak", "other"]
flags = { runs = "{runs_dir}/weak_seed{seed},{runs_dir}/other_seed{seed}" }

[rows.views]
run_of = "soup"
evaluation = { tta = "hflip" }
"""


def raw_result(study, key, seed, quality, held_out, labels=None, units=None):
    """A raw result whose logits are the labels, `quality` of them, and noise.

    Without `units` as results were before whole groups of images were drawn.
    """
    labels = random_labels() if labels is None else labels
    noise = np.random.default_rng((seed, round(100 * quality))).normal(size=labels.shape)
    logits = quality * (2 * labels - 1) + noise
    draws = bootstrap_draws(labels, logits, samples=40)
    drawn = {"bootstrap": draws} if units is None else unit_draws(labels, logits, 0.5, units)
    return {
        "study": study.name,
        "row": key,
        "seed": seed,
        "flags": study.all_flags(study.rows[key], seed),
        "seconds": {"train": 60.0, "evaluate": 6.0},
        "held_out": {"mAP": held_out, "epoch": 1},
        "images_digest": str(labels.sum()),
        "evaluation": {
            "label_based": {name: float(np.mean(values)) for name, values in draws.items()},
            "inconsistency": {"hflip": {"raw": 1.0, "relative": 0.25}},
            "robustness": {"mirrored": {"mAP": 0.5, "positive_decisions_changed": 0.125}},
            "calibration": {"ECE-C": 0.03, "binning": "bins"},
            "per_label": [
                {"name": f"label_{n}", "AP": 0.1 * n + 0.1 * quality + 0.01 * seed, "positives": n}
                for n in range(4)
            ],
        },
        **drawn,
        "by_objects": [
            {"objects": "1", "images": 20, "chance": 0.25, "mAP": quality / 2 + seed / 10}
        ],
        "localization": {
            "pairs": 9,
            "models": {f"{key}_seed{seed}": _looks(0.6), "centre of the image": _looks(0.3)},
        },
    }


def _looks(value):
    means = {name: {"mean": value} for name in ("pointing_game", "energy_inside")}
    return means | {"max_box_accuracy": value / 2, "pixel_average_precision": None}


def random_labels(seed=0, images=60):
    return (np.random.default_rng(seed).random((images, 4)) < 0.3).astype(np.float32)

"""What does --round_inputs change in what a trained network says?

    python -m experiments.precision.rounded_inputs --run_dir=runs/mine

Scores the images of a split twice, from exact inputs and from inputs rounded to whole grey levels,
and prints how far inputs, logits and probabilities part, how many decisions at probability 0.5
differ, and both mAP.
"""

import numpy as np
from absl import app, flags

from vac_tf.datasets.run_splits import read_run_split
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import evaluation_batches
from vac_tf.inputs.prediction import predicted_batches
from vac_tf.inputs.settings import image_settings
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

_RUN_DIR = flags.DEFINE_string("run_dir", None, "Folder of a run.", required=True)
_SPLIT = flags.DEFINE_string("split", "test", "Split to score.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Images of a batch.")


def main(_) -> None:
    folder = RunFolder(_RUN_DIR.value)
    config = folder.read_config()
    network, split = load_network(folder.network_file), read_run_split(config, _SPLIT.value)
    exact, rounded = (
        predicted_batches(
            network,
            evaluation_batches(
                ImageSource(split, image_settings(config), round_inputs=is_rounded),
                split.labels,
                _BATCH_SIZE.value,
            ),
        )
        for is_rounded in (False, True)
    )
    levels, logits = [], []
    for (images, _, outputs), (others, _, other_outputs) in zip(exact, rounded, strict=True):
        off = np.abs(images - others)
        levels.append((off.mean(), off.max(), len(off)))
        logits.append([np.asarray(each["logits"], "float32") for each in (outputs, other_outputs)])
    mean, largest, counts = np.array(levels).T
    print(f"inputs: {np.average(mean, weights=counts):.3f} levels off, {largest.max():.3f} at most")
    first, second = (np.concatenate(each) for each in zip(*logits, strict=True))
    off = np.abs(first - second)
    print(f"logits: {off.mean():.2g} off, {off.max():.2g} at most; deviation {first.std():.2g}")
    probabilities = (1.0 / (1.0 + np.exp(-each.astype("float64"))) for each in (first, second))
    print(f"probabilities: {np.abs(np.subtract(*probabilities)).max():.2g} off at most")
    print(f"decisions: {np.sum((first > 0) != (second > 0))} of {first.size} differ")
    scores = [
        evaluate_logits(split.labels, each, split.label_names)["label_based"]["mAP"]
        for each in (first, second)
    ]
    print(f"mAP: {scores[0]:.5f} exact, {scores[1]:.5f} rounded")


if __name__ == "__main__":
    app.run(main)

"""Writes tensorflow_addons.npz: what tensorflow-addons makes of small random inputs.

Runs in its own environment, see requirements-tfa.txt; the tests need only the file it writes.
The same versions write the same file, byte for byte.

Conventions of tensorflow-addons: `rotate` takes radians, counter-clockwise; `translate` takes
[dx, dy] in pixels, right and down positive. Both fill uncovered pixels with 0.
"""

import os
import pathlib

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa

OUTPUT = pathlib.Path(__file__).with_name("tensorflow_addons.npz")
SHIFTS = ((1, 0), (-2, 0), (0, 3), (0, -1), (2, -3), (-1, 2), (6, 6), (0, 0))  # rows, columns
BATCH_SIZE = 16  # of the F1 updates; 50 images leave a last batch of 2


def main():
    random = np.random.default_rng(20190617)
    arrays = {
        "tensorflow_version": np.array(tf.__version__),
        "tensorflow_addons_version": np.array(tfa.__version__),
        "shifts": np.array(SHIFTS),
        **_image_goldens(random),
        **_f1_goldens(random),
    }
    temporary = OUTPUT.with_suffix(".writing.npz")
    np.savez_compressed(temporary, **arrays)
    os.replace(temporary, OUTPUT)
    print(f"Wrote {len(arrays)} arrays, {OUTPUT.stat().st_size} bytes, to {OUTPUT}")


def _image_goldens(random) -> dict:
    """Rotations and translations of images of even and odd size, and of heatmaps."""
    inputs = {
        "even_images": random.integers(0, 256, (2, 8, 8, 3)).astype(np.float32),
        "odd_images": random.integers(0, 256, (2, 9, 9, 3)).astype(np.float32),
        "heatmaps": random.normal(0, 10, (3, 7, 7, 5)).astype(np.float32),
    }
    goldens = dict(inputs)
    for name, values in inputs.items():
        for quarter_turns in (1, 2, 3):
            for interpolation in ("nearest", "bilinear"):
                goldens[f"{name}_rotated_{quarter_turns}_{interpolation}"] = tfa.image.rotate(
                    values, quarter_turns * np.pi / 2, interpolation, fill_mode="constant"
                ).numpy()
        for index, (rows, columns) in enumerate(SHIFTS):
            goldens[f"{name}_translated_{index}"] = tfa.image.translate(
                values, [columns, rows], "nearest", fill_mode="constant"
            ).numpy()
    return goldens


def _f1_goldens(random) -> dict:
    """F1 per label, macro and micro at 0.5, gathered over batches; some scores are exactly 0.5.

    Label 5 has no positives (tensorflow-addons gives it F1 0), label 6 is never predicted.
    """
    labels = (random.random((50, 7)) < [0.5, 0.3, 0.1, 0.8, 0.2, 0.0, 0.3]).astype(np.float32)
    scores = np.clip(random.random(labels.shape) * 0.7 + labels * 0.25, 0, 1).astype(np.float32)
    scores[random.random(labels.shape) < 0.1] = 0.5
    scores[:, 6] *= 0.5
    goldens = {"f1_labels": labels, "f1_scores": scores}
    for average in (None, "macro", "micro"):
        metric = tfa.metrics.F1Score(labels.shape[1], average=average, threshold=0.5)
        for start in range(0, len(labels), BATCH_SIZE):
            batch = slice(start, start + BATCH_SIZE)
            metric.update_state(labels[batch], scores[batch])
        goldens[f"f1_{average or 'per_label'}"] = metric.result().numpy()
    return goldens


if __name__ == "__main__":
    main()

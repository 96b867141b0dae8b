"""Are the generated scenes learnable but not trivial? What thumbnails alone give.

    python -m experiments.scenes_difficulty

prints the test mAP of a logistic regression on 8x8 thumbnails (per label, C = 0.01 and 1), and of
predicting every label's frequency. Compare with the networks of `make demo`. About a minute.
"""

import numpy as np
from absl import app
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vac_tf.datasets import read_split
from vac_tf.metrics.multilabel import average_precision_per_label


def thumbnails(split):
    """float64 `[N, 192]`: every image at 8x8 pixels."""
    rows = [
        np.asarray(Image.open(path).convert("RGB").resize((8, 8), Image.Resampling.BOX))
        for path in split.image_paths
    ]
    return np.stack(rows).reshape(len(rows), -1) / 255.0


def main(_):
    train, test = (read_split("scenes", "", name, with_objects=False) for name in ("train", "test"))
    inputs, test_inputs = thumbnails(train), thumbnails(test)
    print(f"frequency of the labels: test mAP {np.mean(test.labels.mean(axis=0)):.3f}")
    for strength in (0.01, 1.0):
        scores = np.zeros_like(test.labels)
        for label in range(train.labels.shape[1]):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
            model.fit(inputs, train.labels[:, label])
            scores[:, label] = model.predict_proba(test_inputs)[:, 1]
        mean = average_precision_per_label(test.labels, scores, "step").mean()
        print(f"logistic regression on 8x8 thumbnails, C = {strength:g}: test mAP {mean:.3f}")


if __name__ == "__main__":
    app.run(main)

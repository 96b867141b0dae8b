"""Evaluations to show: made of arrays, with whatever names labels may have."""

import dataclasses
import json

import numpy as np
import tensorflow as tf
from PIL import Image

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.datasets.split import Split
from vac_tf.evaluation.classification import EvaluatedRun
from vac_tf.inputs.image_source import ImageSettings, ImageSource
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.runs.folder import RunFolder

ODD_NAMES = (
    "<script>alert('x')</script>",
    'a "quoted" & <b>bold</b> one',
    "‏כלב גדול",
    "🐕‍🦺 dog",
    "</script><img src=x onerror=alert(1)>",
    "a_very_long_name_" * 8,
)


class Brightness:
    """A network whose map of every label is the brightness of the image's four quarters."""

    def __init__(self, num_labels, has_heatmaps=True):
        self._num_labels = num_labels
        self._has_heatmaps = has_heatmaps

    def __call__(self, images, training):
        maps = self.maps(images)
        maps = tf.repeat(maps, self._num_labels, axis=3)
        outputs = {"logits": tf.reduce_mean(maps, axis=(1, 2))}
        return outputs | ({"heatmaps": maps} if self._has_heatmaps else {})

    def maps(self, images):
        """`[B, 2, 2, 1]`."""
        return tf.nn.avg_pool(tf.reduce_mean(images, 3, keepdims=True), 8, 8, "VALID")


class Constant(Brightness):
    """A network whose maps say nothing."""

    def maps(self, images):
        return tf.ones((tf.shape(images)[0], 2, 2, 1))


def _write_images(path, number):
    """Noise of two sizes and shapes, `number` PNG files."""
    folder = path / "images"
    folder.mkdir(exist_ok=True)
    generator = np.random.default_rng(0)
    for index in range(number):
        file = folder / f"{index}.png"
        if index < 24:
            pixels = generator.integers(0, 256, (24, 16 + 8 * (index % 2), 3), np.uint8)
            Image.fromarray(pixels).save(file)
        elif not file.exists():
            file.hardlink_to(folder / f"{index % 24}.png")
        yield str(file)


def evaluated_run(
    path, names=ODD_NAMES, num_images=12, seed=0, threshold=0.5, labels=None, **settings
) -> EvaluatedRun:
    """An evaluation of made-up images, labels and logits whose folder is `path`.

    Its network is `Brightness`; `network=` is another one, other settings are the config's.
    """
    generator = np.random.default_rng(seed)
    if labels is None:
        labels = (generator.random((num_images, len(names))) < 0.3).astype(np.float32)
    noise = generator.normal(size=labels.shape)
    logits = (noise + 2 * np.nan_to_num(labels) - 1).astype(np.float32)
    results = evaluate_logits(labels, logits, names, threshold=threshold)
    results["conventions"] |= {
        "dataset": "table",
        "split": "test",
        "selected_epoch": 2,
        "selected_on": "val split",
        "images_trained_on": 0,
        "images_selected_on": 0,
        "shared_groups": "",
    }
    network = settings.pop("network", None) or Brightness(len(names))
    split = Split(tuple(_write_images(path, len(labels))), labels, tuple(names))
    config = EvaluationConfig(run_dir=str(path), split="test", threshold=threshold, **settings)
    run_config = TrainConfig(run_dir=str(path), dataset="table", data_dir="data")
    (path / "config.json").write_text(json.dumps(dataclasses.asdict(run_config)))
    (path / "labels.json").write_text(json.dumps({"label_names": list(names)}))
    return EvaluatedRun(
        config=config,
        run_config=run_config,
        folder=RunFolder(str(path)),
        network=network,
        source=ImageSource(split, ImageSettings(image_size=16)),
        labels=labels,
        unknown_labels="ignore",
        logits=logits,
        hashes=None,
        results=results,
    )

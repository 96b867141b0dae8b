"""The data of a run as `tf.data`: batches of a caller instead of images in files."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from vac_tf.configs.label_groups.reading import read_label_groups
from vac_tf.inputs.augmentation.image_layers import ImageLayer
from vac_tf.inputs.augmentation.seeded_layer import derived_seed
from vac_tf.inputs.autotuning import without_autotuning
from vac_tf.inputs.settings import known_labels
from vac_tf.runs.folder import RunFolder
from vac_tf.training.run_data import RunData
from vac_tf.training.validation import check_validation_labels

Batches = tf.data.Dataset | Callable[[int], tf.data.Dataset]
FACTS_FILE = "data.json"
_SELECTED_ON = "validation data given in Python"


@dataclasses.dataclass(frozen=True)
class GivenData(RunData):
    """`RunData` without files; `given_labels` float32 `[N, L]` are those of the validation."""

    given_labels: np.ndarray | None = None
    facts: dict = dataclasses.field(default_factory=dict)

    @property
    def validation_labels(self) -> np.ndarray:
        return self.given_labels

    def validation_images(self, rows: Sequence[int]) -> np.ndarray:
        examples, wanted = (
            self.validation.unbatch().take(max(rows) + 1),
            tf.constant(rows, tf.int64),
        )
        chosen = examples.enumerate().filter(lambda row, _: tf.reduce_any(row == wanted))
        return np.stack([image.numpy() for _, (image, _) in chosen])

    @contextlib.contextmanager
    def naming_bad_images(self):
        """An error of the caller's pipeline is the caller's to read."""
        yield

    def fingerprint(self) -> str:
        """Of the labels of the validation, whose order may change from pass to pass."""
        rows = sorted(row.tobytes() for row in self.validation_labels)
        return hashlib.sha256(b"".join(rows)).hexdigest()[:24]

    def record(self, folder: RunFolder) -> None:
        """Writes what a pass over the training data told, too."""
        super().record(folder)
        folder.write_json(FACTS_FILE, self.facts)


class GivenBatches:
    """The training batches of every epoch, as `vac_tf.inputs.pipeline.TrainingBatches` has them.

    Args:
        batches: see `vac_tf.train`.
        facts: of the training data, see `read_given_data`.
        layers: change the images of each batch, drawn for (seed, epoch, step).
        seed: of the run.
        unknown_labels: as the config has it.
    """

    def __init__(
        self,
        batches: Batches,
        facts: dict,
        layers: Sequence[ImageLayer],
        seed: int,
        unknown_labels: str,
    ):
        self._batches = batches
        self._layers = tuple(layers)
        self._seed = seed
        self._unknown_labels = unknown_labels
        self.steps_per_epoch = facts["steps_per_epoch"]
        self.smallest_batch = facts["smallest_batch"]
        self.batch_size = facts["largest_batch"]

    def image_paths(self, epoch: int, steps: range) -> list[str]:
        """No file: where the images are from, the caller knows."""
        del epoch, steps
        return []

    def epoch(self, epoch: int, start_step: int = 0) -> tf.data.Dataset:
        """The batches of an epoch from a step on."""

        def prepare(step, batch):
            images, labels, *weights = _as_floats(*batch)
            if self._unknown_labels != "ignore":
                labels = tf.where(tf.math.is_nan(labels), 0.0, labels)
            seed = derived_seed(tf.constant([self._seed, epoch], tf.int64), step)
            for number, layer in enumerate(self._layers):
                shape = images.shape
                images = tf.ensure_shape(layer(images, derived_seed(seed, number)), shape)
            return images, labels, *weights

        dataset = _of_epoch(self._batches, epoch).enumerate().skip(start_step)
        dataset = dataset.map(prepare, tf.data.AUTOTUNE, deterministic=True)
        left = self.steps_per_epoch - start_step
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(left)).prefetch(2)
        return without_autotuning(dataset)


def read_given_data(
    config,
    batches: Batches,
    validation: tf.data.Dataset,
    label_names: Sequence[str] | None,
    layers: Sequence[ImageLayer],
) -> GivenData:
    """The data of a run, whose labels are counted in one pass when it begins.

    Raises:
        ValueError: batches of other shapes or values than `vac_tf.train` asks for.
    """
    check_batches(validation, "validation")
    facts = _facts_of_run(config, batches)
    _check_length(_of_epoch(batches, 0), facts, config.run_dir)
    names = tuple(label_names or (f"label_{n}" for n in range(len(facts["positive_ratio"]))))
    if len(names) != len(facts["positive_ratio"]) or len(set(names)) < len(names):
        raise ValueError(
            f"label_names must name {len(facts['positive_ratio'])} labels, each once, got"
            f" {list(names)}."
        )
    scored = without_autotuning(validation.map(_as_floats, tf.data.AUTOTUNE))
    labels = np.concatenate([batch[1].numpy() for batch in scored])
    _check_labels(labels, "validation", len(names))
    check_validation_labels(labels, _SELECTED_ON, config.unknown_labels)
    for_loss = scored
    if config.unknown_labels != "ignore":
        for_loss = scored.map(
            lambda images, labels, *weights: (
                images,
                tf.where(tf.math.is_nan(labels), 0.0, labels),
                *weights,
            )
        )
    return GivenData(
        training=GivenBatches(batches, facts, layers, config.seed, config.unknown_labels),
        validation=scored.map(lambda images, labels, *_: (images, labels)),
        validation_for_loss=for_loss,
        validation_source=None,
        label_names=names,
        positive_ratio=np.array(facts["positive_ratio"]),
        selected_on=_SELECTED_ON,
        skipped=[],
        label_groups=read_label_groups(config.label_groups, names),
        given_labels=labels,
        facts=facts,
    )


def image_size_of(batches: Batches) -> int:
    """Height and width of the images; ValueError where they are not the same and known."""
    dataset = _of_epoch(batches, 0)
    check_batches(dataset, "data")
    images = dataset.element_spec[0]
    height, width = images.shape[1:3]
    if not height or height != width:
        raise ValueError(
            f"Images must be squares of one size, got {tuple(images.shape)}: resize them in your"
            " tf.data, with tf.image.resize or keras.layers.Resizing."
        )
    return height


def check_batches(dataset: tf.data.Dataset, name: str) -> None:
    """Raises ValueError unless a dataset has batches of images, labels and perhaps weights."""
    spec = dataset.element_spec
    expected = "(images [B, H, W, 3], labels [B, L]) or the same and weights [B]"
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(f"{name} must give {expected}, got {spec}.")
    ranks = [part.shape.rank for part in spec]
    if ranks != [4, 2, 1][: len(spec)] or spec[0].shape[-1] != 3:
        shapes = [tuple(part.shape) for part in spec]
        advice = ""
        if ranks[0] == 3:
            advice = " Batch it."
        elif ranks[1] == 1:
            advice = " Labels are 0 or 1 in a column each (label_mode='categorical' in Keras)."
        raise ValueError(f"{name} must give batches of {expected}, got {shapes}.{advice}")
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(f"{name} has no end: leave repeat() out; an epoch is one pass over it.")


def _facts_of_run(config, batches):
    """What one pass over the training data tells; of a run that has begun, what it told then."""
    folder = RunFolder(config.run_dir)
    if folder.has_state():
        return folder.read_json(FACTS_FILE)
    sizes, labels = [], []
    for images, batch_labels, *_ in _of_epoch(batches, 0):
        if not sizes and 0 < float(tf.reduce_max(tf.cast(images, tf.float32))) <= 1:
            raise ValueError("Images must be RGB in 0..255, got at most 1: multiply them by 255.")
        sizes.append(len(batch_labels))
        labels.append(tf.cast(batch_labels, tf.float32).numpy())
    if not sizes:
        raise ValueError("data has no batch.")
    labels = np.concatenate(labels)
    _check_labels(labels, "data", labels.shape[1], is_soft=True)
    known = known_labels(labels, config.unknown_labels)
    counts = np.maximum((~np.isnan(known)).sum(axis=0), 1)
    return {
        "steps_per_epoch": len(sizes),
        "smallest_batch": min(sizes),
        "largest_batch": max(sizes),
        "examples": len(labels),
        "positive_ratio": [float(p) for p in np.nansum(known, axis=0, dtype=float) / counts],
    }


def _check_length(dataset, facts, run_dir):
    steps, known = facts["steps_per_epoch"], int(dataset.cardinality())
    if known >= 0 and known != steps:
        raise ValueError(
            f"data has {known} batches, but had {steps} when the run in {run_dir!r} began: restore"
            " it, or start in a new run_dir."
        )


def _check_labels(labels, name, num_labels, is_soft=False):
    if labels.ndim != 2 or labels.shape[1] != num_labels:
        raise ValueError(f"{name} has labels {labels.shape}, expected {num_labels} columns.")
    known = labels[~np.isnan(labels)]
    if not (((known >= 0) & (known <= 1)) if is_soft else np.isin(known, (0, 1))).all():
        expected = "lie in 0..1" if is_soft else "be 0 or 1"
        raise ValueError(f"Labels of {name} must {expected} (NaN: unknown), got {known.max()}.")


def _of_epoch(batches, epoch):
    dataset = batches(epoch) if callable(batches) else batches
    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError(f"data must give a tf.data.Dataset for epoch {epoch}, got {dataset!r}.")
    return dataset


def _as_floats(*batch):
    return tuple(tf.cast(part, tf.float32) for part in batch)

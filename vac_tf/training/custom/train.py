"""Training from Python, with one's own network, data, loss, optimizer, callbacks and metrics."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from vac_tf.configs.fields import GIVEN
from vac_tf.configs.training.loss import LossSettings
from vac_tf.datasets.held_out import hold_out
from vac_tf.datasets.run_splits import RunSplits, check_disjoint
from vac_tf.datasets.split import Split
from vac_tf.geometry.transforms import Transform
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder
from vac_tf.training.custom.given_data import Batches, read_given_data
from vac_tf.training.custom.own_layers import as_seeded_layer, of_single_images
from vac_tf.training.custom.own_network import start_own_network, stride_of_own
from vac_tf.training.custom.own_splits import keep_splits
from vac_tf.training.custom.run_callbacks import RunCallbacks
from vac_tf.training.custom.run_config import config_of
from vac_tf.training.method_check import check_method
from vac_tf.training.run import build_trainer, train_network
from vac_tf.training.run_data import RunData, read_run_data, read_usable_splits
from vac_tf.training.step.accumulation import check_parts
from vac_tf.training.step.classification_loss import as_classification_loss, smoothed
from vac_tf.training.step.precision_check import check_precision
from vac_tf.training.validation import check_selection


@dataclasses.dataclass(frozen=True)
class TrainingHistory:
    """What a training has done.

    Attributes:
        run_dir: The run folder, for `vac_tf.load`, `evaluate.py`, `export_model.py`.
        history: Values of every epoch by name, as `keras.callbacks.History.history`.
        best: Best validation mAP, by kind of weights (`raw`, `ema`).
        best_epoch: Epoch of the best network, counted from 1.
    """

    run_dir: str
    history: dict[str, list[float]]
    best: dict[str, float]
    best_epoch: int

    def load_network(self) -> keras.Model:
        """The best network: images in 0..255 -> `logits`, `heatmaps`."""
        return load_network(RunFolder(self.run_dir).network_file)


def train(
    network: str | keras.Model = "small",
    data: Split | Batches | None = None,
    *,
    run_dir: str,
    validation: Split | Batches | float | None = None,
    label_names: Sequence[str] | None = None,
    transforms: Sequence[str | Transform] = (),
    augmentation: Sequence[Callable] = (),
    loss: str | Callable | None = None,
    optimizer: str | keras.optimizers.Optimizer | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    metrics: Sequence[keras.metrics.Metric] = (),
    **settings: Any,
) -> TrainingHistory:
    """Trains a network into a run folder, or continues the run that lies there.

    The same call again continues an interrupted run; the folder is one as `train.py` writes. The
    random numbers of Python, NumPy and TensorFlow begin anew from `seed`.

    Args:
        network: name of a backbone; or a functional Keras model of RGB images `[B, H, W, 3]` in
            0..255, which begins with a `Rescaling` or a `Normalization`: one of features
            `[B, h, w, C]`, which a head is put on (its weights are copied); or one of a dict of
            `logits` `[B, L]` and `heatmaps` `[B, h, w, L]`, which itself is trained.
        data: a `Split`; or batches, a `tf.data.Dataset` of one epoch or a function that gives that
            of an epoch, counted from 0: images `[B, S, S, 3]` in 0..255, labels `[B, L]` in 0..1
            (NaN: unknown) and perhaps sample weights `[B]`. A continued epoch leaves out as many
            batches as are done: it sees what it would have seen where a dataset gives the same
            batches in each process, which only the function can do in a new order each epoch.
            None: what `settings` name (`dataset`, `data_dir`).
        run_dir: the folder.
        validation: what selects the best network: as `data`, but one dataset, in order; of a
            `Split` also the fraction of its images that is held out.
        label_names: of the columns of batches; `label_0`, ... by default.
        transforms: of the second branch, such as `["hflip"]`; own ones are registered first.
        augmentation: Keras layers, or functions, of images `[B, S, S, 3]`, for training images. A
            Keras layer draws by seed, epoch and image (of batches: step), so that a continued run
            draws as one that was not stopped.
        loss: name; or a function as `vac_tf.register_loss` takes it; or a `keras.losses.Loss` of
            logits.
        optimizer: `"sgd"`, `"adamw"` or one of Keras, with its own schedule.
        callbacks: of Keras. What they are told of an epoch has the validation in it (`val_mAP`,
            `val_loss`, ...).
        metrics: of Keras, of labels and probabilities `[B, L]`, each a number; in the history of
            the training and, as `validation_...`, of the validation.
        **settings: fields of `vac_tf.configs.classification.TrainConfig`, the flags of `train.py`:
            `epochs`, `batch_size`, `image_size`, `consistency_weight`, `ema_decay`, `seed`, ...

    Returns:
        The values of every epoch, and which was the best.

    Raises:
        ValueError: unusable arguments, data or run folder.
        DivergenceError: naming what is not finite; the last good state is kept.
        TrainingInterrupted: after Ctrl-C, at a point that can be resumed.
    """
    config = config_of(network, data, run_dir, transforms, loss, optimizer, settings)
    folder = RunFolder(config.run_dir)
    folder.check(config)
    check_method(config, None if isinstance(network, str) else {network: stride_of_own(network)})
    check_precision(config.precision)
    keras.utils.set_random_seed(config.seed)

    layers = [as_seeded_layer(layer) for layer in augmentation]
    run_data = _read(config, data, validation, label_names, layers)
    check_parts(config.accumulate_steps, run_data.training.smallest_batch)
    trainer = build_trainer(
        config,
        run_data,
        start_own_network(config, run_data.label_names, network),
        loss=_loss(config, loss),
        optimizer=_unbuilt(optimizer),
        metrics=metrics,
    )
    _check_numbers(trainer)
    told = RunCallbacks(callbacks, trainer, config.epochs) if callbacks else None
    progress = train_network(
        config, folder, run_data, trainer, rate_flag="learning_rate", callbacks=told
    )
    rows = progress["history"]
    names = dict.fromkeys(name for row in rows for name in row)
    history = {name: [row[name] for row in rows if name in row] for name in names}
    return TrainingHistory(run_dir, history, progress["best"], progress["best_epoch"])


def _read(config, data, validation, label_names, layers) -> RunData:
    is_of_batches = config.dataset == GIVEN
    if label_names is not None and not is_of_batches:
        raise ValueError("label_names are of batches; a Split has its own.")
    if is_of_batches:
        if not isinstance(validation, tf.data.Dataset):
            raise ValueError(f"validation must be a tf.data.Dataset, as data is: {validation!r}.")
        return read_given_data(config, data, validation, label_names, layers)
    splits = read_usable_splits(config, _splits(config, data, validation))
    check_selection(splits, config.unknown_labels)
    run_data = read_run_data(config, splits, [of_single_images(layer) for layer in layers])
    return run_data if data is None else keep_splits(run_data, splits)


def _splits(config, data: Split | None, validation) -> RunSplits | None:
    if data is None:
        if validation is not None:
            raise ValueError("validation is of data; without it give validation_split.")
        return None
    if isinstance(validation, float):
        train_part, held_out = hold_out(data, validation, config.held_out_seed)
        return RunSplits(train_part, held_out, f"held-out {validation:g} of the training images")
    if not isinstance(validation, Split):
        raise ValueError(f"validation must be a Split or a fraction of data, got {validation!r}.")
    check_disjoint(data, validation)
    return RunSplits(data, validation.with_labels(data.label_names), "validation images given")


def _loss(config, loss):
    if loss is None or isinstance(loss, str):
        settings = [field for field in dataclasses.fields(LossSettings) if field.name != "loss"]
        is_plain = all(getattr(config, each.name) == each.default for each in settings)
        # By its name a callback can save the trainer.
        return config.loss if is_plain else None
    return smoothed(as_classification_loss(loss), config.label_smoothing)


def _unbuilt(optimizer):
    """The optimizer, or, where it has trained already, a new one like it."""
    if optimizer is None or isinstance(optimizer, str):
        return None
    return type(optimizer).from_config(optimizer.get_config()) if optimizer.built else optimizer


def _check_numbers(trainer):
    for name, value in trainer.get_metrics_result().items():
        if keras.ops.ndim(value):
            raise ValueError(
                f"Metric {name!r} gives {keras.ops.size(value)} values, expected one; Keras's"
                " F1Score, say, takes average='macro'."
            )

"""Training from Python with one's own parts, into a run folder like any other."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import vac_tf
from tests.vac_tf.event_reader import tags, values
from vac_tf.datasets import Split
from vac_tf.losses import sigmoid_cross_entropy
from vac_tf.runs.folder import RunFolder
from vac_tf.training.custom.run_config import config_of

SIDE = 32


def own_backbone(side=SIDE):
    images = keras.Input((side, side, 3))
    features = keras.layers.Rescaling(1 / 255)(images)
    return keras.Model(images, keras.layers.Conv2D(8, 16, 16, activation="relu")(features))


def own_batches(seed=0, num_images=12, has_weights=True):
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 255, (num_images, SIDE, SIDE, 3), np.uint8)
    labels = (np.arange(num_images)[:, None] % np.array([2, 3]) == 0).astype("float32")
    parts = (images, labels, np.ones(num_images, "float32"))
    return tf.data.Dataset.from_tensor_slices(parts if has_weights else parts[:2]).batch(4)


class Told(keras.callbacks.Callback):
    """Notes what it is told."""

    def __init__(self):
        super().__init__()
        self.events, self.logs = [], []

    def on_train_begin(self, logs=None):
        self.events.append("begin")

    def on_epoch_end(self, epoch, logs=None):
        self.events.append(epoch)
        self.logs.append(logs)

    def on_train_batch_end(self, batch, logs=None):
        self.events.append("batch")

    def on_train_end(self, logs=None):
        self.events.append("end")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of own parts, what its callback was told, and the arguments."""
    keras.utils.set_random_seed(0)
    told = Told()
    arguments = {
        "network": own_backbone(),
        "data": own_batches(),
        "validation": own_batches(1, has_weights=False),
        "label_names": ["even", "third"],
        "transforms": ["hflip"],
        "augmentation": [keras.layers.RandomBrightness(0.2), lambda images: images[:, ::-1]],
        "loss": sigmoid_cross_entropy,
        "optimizer": keras.optimizers.Adam(1e-3),
        "metrics": [keras.metrics.BinaryAccuracy()],
        "run_dir": str(tmp_path_factory.mktemp("runs") / "own"),
        "epochs": 2,
        "tensorboard": True,
        "tensorboard_images": 3,
    }
    return vac_tf.train(**arguments, callbacks=[told]), told, arguments


def test_the_history_holds_terms_metrics_and_validation(trained):
    history, told, arguments = trained
    assert {"loss", "consistency_hflip", "binary_accuracy"} <= set(history.history)
    assert {"validation_mAP", "validation_binary_accuracy"} <= set(history.history)
    assert all(len(values) == 2 for values in history.history.values())
    assert told.events == ["begin", *["batch"] * 3, 0, *["batch"] * 3, 1, "end"]
    assert told.logs[1]["val_mAP"] == history.history["validation_mAP"][1]
    network = history.load_network()
    logits = network(np.zeros((1, SIDE, SIDE, 3), "float32"))["logits"]
    probabilities = network.predict(arguments["validation"].map(lambda x, y: x), verbose=0)
    assert logits.shape == (1, 2) and probabilities["heatmaps"].shape == (12, 2, 2, 2)


def test_the_folder_is_one_of_a_run(trained):
    history, _, _ = trained
    folder = RunFolder(history.run_dir)
    config = folder.read_config()
    assert (config.dataset, config.backbone, config.loss, config.optimizer) == ("given",) * 4
    assert config.image_size == SIDE and config.learning_rate == pytest.approx(1e-3)
    assert folder.read_label_names() == ["even", "third"]


def test_tensorboard_shows_metrics_and_pictures_of_batches(trained):
    history, _, arguments = trained
    run_dir = RunFolder(history.run_dir).file("tensorboard")
    assert values(f"{run_dir}/train", "metrics/binary_accuracy") == pytest.approx(
        history.history["binary_accuracy"]
    )
    validation = f"{run_dir}/validation"
    assert values(validation, "metrics/mAP") == pytest.approx(history.history["validation_mAP"])
    assert [tag for tag in tags(validation) if "/pr_curves" in tag] == [
        f"precision_recall/{name}/pr_curves" for name in ("all labels", "even", "third")
    ]
    # Rows 0, 6 and 10 of the eight with a label; 0 and 6 have both, and `third` is the rarer one.
    shown = ["heatmaps/01 third", "heatmaps/02 third", "heatmaps/03 even"]
    assert [tag for tag in tags(validation) if tag.startswith("heatmaps/")] == shown


def test_the_same_call_again_trains_no_more(trained):
    history, _, arguments = trained
    assert vac_tf.train(**arguments) == history


def test_other_arguments_are_refused(trained, tmp_path):
    _, _, arguments = trained
    with pytest.raises(ValueError, match="transforms: 'hflip' there, '' now"):
        vac_tf.train(**arguments | {"transforms": []})
    with pytest.raises(ValueError, match="data has 1 batches, but had 3 when the run in"):
        vac_tf.train(**arguments | {"data": own_batches(num_images=4)})
    new = arguments | {"run_dir": str(tmp_path / "new")}
    images, labels = next(iter(arguments["validation"]))
    plain = tf.data.Dataset.from_tensors((images, labels))
    for changed, message in [
        ({"epoch": 3}, "Unknown setting 'epoch'. Did you mean epochs"),
        ({"strategy": "mirrored"}, "strategy='mirrored' is for train.py"),
        ({"batch_size": 3}, "batch_size is a setting of images in files"),
        ({"learning_rate": 3.0}, "learning_rate is a setting of 'sgd' and 'adamw'"),
        ({"transforms": ["scale:16"]}, "scale:16: network .* takes images of 32 pixels only"),
        ({"image_size": 64}, "image_size is 64, but the batches have 32"),
        ({"network": keras.Sequential()}, "must be a functional Keras model or the name of"),
        ({"network": 3}, "must be a functional Keras model or the name of"),
        ({"data": None}, "data must be a Split"),
        ({"data": "photos"}, "data must be a Split, a tf.data.Dataset of batches.* got 'photos'"),
        ({"data": lambda epoch: images}, "must give a tf.data.Dataset for epoch 0"),
        ({"data": plain.unbatch()}, "Batch it."),
        ({"data": plain.repeat()}, "has no end"),
        ({"data": plain.map(lambda x, y: (x / 255, y))}, "got at most 1: multiply them by 255"),
        ({"data": plain.map(lambda x, y: (x, y[:, 0]))}, "label_mode='categorical'"),
        ({"data": plain.map(lambda x, y: (x, y + 1.0))}, "Labels of data must lie in 0..1"),
        ({"data": plain.map(lambda x, y: (x[:, 1:], y))}, "Images must be squares of one size"),
        ({"validation": 0.5}, "validation must be a tf.data.Dataset"),
        ({"label_names": ["one"]}, "label_names must name 2 labels"),
        ({"loss": lambda a, b: a}, "expected .labels, logits, mask. or"),
        ({"loss": keras.losses.BinaryCrossentropy()}, "make it with from_logits=True"),
        ({"metrics": [keras.metrics.F1Score()]}, "Metric 'f1_score' gives 2 values"),
        ({"augmentation": ["flip"]}, "takes Keras layers and functions of images"),
        ({"transforms": "hflip"}, "transforms must be a list"),
    ]:
        with pytest.raises(ValueError, match=message):
            vac_tf.train(**new | changed)


def test_settings_that_would_do_nothing_are_refused(tmp_path):
    """Of a whole job of train.py; and of what chooses images, where they are given."""
    split = Split(("a.png", "b.png"), np.eye(2, dtype=np.float32), ("cat", "dog"))
    files = {"dataset": "table", "data_dir": str(tmp_path)}
    for data, settings, message in [
        (None, files | {"folds": 3}, "folds 3: vac_tf.train trains one network"),
        (None, files | {"check_data": True}, "check_data=True is for train.py"),
        (split, {"check_data": True}, "check_data=True is for train.py"),
        *(
            (split, {name: value}, f"{name} chooses images, and data is a Split")
            for name, value in (
                *(("train_images", 4), ("max_images", 6), ("folds", 2), ("fold", 1)),
                *(("validation_fraction", 0.1), ("validation_split", "val"), ("train_split", "a")),
                *(("paper_protocol", True), ("group_column", "person"), ("group_file", "people")),
                *files.items(),
            )
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            vac_tf.train("small", data, validation=0.5, run_dir=str(tmp_path / "run"), **settings)
    config = config_of("small", None, "run", (), None, None, files | {"folds": 3, "fold": 1})
    assert (config.folds, config.fold) == (3, 1)


def test_an_optimizer_that_scales_the_loss_is_taken_as_what_it_wraps(tmp_path):
    inner = keras.optimizers.SGD(1e-3, use_ema=True, ema_momentum=0.9)
    vac_tf.train(
        own_backbone(),
        own_batches(),
        validation=own_batches(1, has_weights=False),
        optimizer=keras.optimizers.LossScaleOptimizer(inner),
        precision="mixed_float16",
        epochs=1,
        run_dir=str(tmp_path / "run"),
    )
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["learning_rate"] == pytest.approx(1e-3) and config["ema_decay"] == 0.9


class HalfUsed(keras.layers.Layer):
    """A layer with a weight that it does not use."""

    def build(self, shape):
        self.unused = self.add_weight(shape=(2,), initializer="ones", name="unused")

    def call(self, features):
        return features


def test_coupled_decay_leaves_a_weight_that_gets_no_gradient(tmp_path):
    backbone = own_backbone()
    layer = HalfUsed()
    vac_tf.train(
        keras.Model(backbone.input, layer(backbone.output)),
        own_batches(),
        validation=own_batches(1, has_weights=False),
        optimizer="sgd",
        weight_decay=0.01,
        epochs=1,
        run_dir=str(tmp_path / "run"),
    )
    np.testing.assert_array_equal(layer.unused, 1.0)

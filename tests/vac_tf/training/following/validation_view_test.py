"""What TensorBoard shows of a validation: precision-recall curves and pictures of heatmaps."""

import io
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.metrics import precision_score, recall_score

from tests.vac_tf.event_reader import steps, tags, values
from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.runs.folder import RunFolder
from vac_tf.training.following import precision_recall
from vac_tf.training.following.board import Board
from vac_tf.training.following.heatmap_pictures import choose_examples, mirror_picture
from vac_tf.training.following.validation_view import ValidationView

NAMES = ("cat", "dog/wolf", "never")
GENERATOR = np.random.default_rng(0)
LABELS = (GENERATOR.random((40, 3)) < [0.3, 0.6, 0.0]).astype("float32")
LABELS[::7, 1] = np.nan
LOGITS = GENERATOR.normal(0, 2, (40, 3)).astype("float32")
IMAGES = GENERATOR.uniform(0, 255, (40, 32, 32, 3)).astype("float32")


def as_network(images, training=False):
    """Heatmaps that show how red each of 4 x 4 cells is, for every label."""
    del training
    red = tf.nn.avg_pool2d(images[..., :1], 8, 8, "VALID")
    heatmaps = tf.repeat(red, len(NAMES), axis=-1)
    return {"heatmaps": heatmaps, "logits": tf.reduce_mean(heatmaps, (1, 2)) - 127.0}


@pytest.fixture
def shown(tmp_path):
    return show(tmp_path)


def show(tmp_path, groups=()):
    """The folder of a validation that was shown after two epochs, and the curves of its labels."""
    data = types.SimpleNamespace(
        validation_labels=LABELS,
        label_names=NAMES,
        validation_images=lambda rows: IMAGES[rows],
        label_groups=groups,
    )
    board = Board(RunFolder(str(tmp_path)), 5, ("loss",))
    view = ValidationView(board, data, 3, "ignore")
    metrics = dict.fromkeys(("mA", "F1-C", "P-C", "R-C", "CF1", "F1-O", "P-O", "R-O"), 0.5)
    network = type("Network", (), {"__call__": staticmethod(as_network)})()
    for epoch in (1, 2):
        view.show("ema", epoch, network, LOGITS, {"label_based": metrics | {"P-C": None}})
    board.close()
    return str(tmp_path / "tensorboard" / "validation_ema")


def test_curves_are_those_of_scikit_learn(shown):
    probabilities = 1 / (1 + np.exp(-LOGITS))
    curves = [tag for tag in tags(shown) if tag.endswith("/pr_curves")]
    assert curves == [
        f"precision_recall/{name}/pr_curves" for name in ("all labels", "cat", "dog/wolf")
    ]
    for tag, columns in zip(curves, ([0, 1, 2], [0], [1]), strict=True):
        assert steps(shown, tag) == [5, 10]
        curve = values(shown, tag)[0]
        truth, scores = LABELS[:, columns].ravel(), probabilities[:, columns].ravel()
        known = ~np.isnan(truth)
        for place in (20, 100, 160):  # Of 201 thresholds.
            decided = scores[known] >= place / 200
            assert curve[4, place] == pytest.approx(precision_score(truth[known], decided))
            assert curve[5, place] == pytest.approx(recall_score(truth[known], decided))
        assert curve[0, 0] + curve[1, 0] == known.sum()


def test_labels_that_exclude_each_other_have_the_probabilities_of_their_group(tmp_path):
    shown = show(tmp_path, (LabelGroup("animal", (0, 1)),))
    known = ~np.isnan(LABELS[:, 1])
    softmax = 1 / (1 + np.exp(LOGITS[:, 0] - LOGITS[:, 1]))
    curve = values(shown, "precision_recall/dog/wolf/pr_curves")[0]
    decided = softmax[known] >= 100 / 200
    assert curve[5, 100] == pytest.approx(recall_score(LABELS[known, 1], decided))
    assert not np.array_equal(decided, LOGITS[known, 1] >= 0)


def test_many_decisions_are_counted_in_parts(tmp_path, monkeypatch):
    for most in (100, 7):
        monkeypatch.setattr(precision_recall, "_MOST_DECISIONS", most)
        with tf.summary.create_file_writer(str(tmp_path)).as_default(most):
            precision_recall.write_curves(LABELS, 1 / (1 + np.exp(-LOGITS)), NAMES)
    for tag in tags(tmp_path):
        np.testing.assert_allclose(*values(tmp_path, tag), rtol=1e-6)


def test_of_many_labels_those_with_the_most_positives_have_curves(tmp_path, monkeypatch):
    monkeypatch.setattr(precision_recall, "MOST_LABELS", 1)
    with tf.summary.create_file_writer(str(tmp_path)).as_default(1):
        precision_recall.write_curves(LABELS, np.full_like(LABELS, 0.5), NAMES)
    assert [tag.split("/", 1)[1] for tag in tags(tmp_path)] == [
        "all labels/pr_curves",
        "dog/wolf/pr_curves",
    ]


def test_metrics_stand_beside_them(shown):
    named = [tag for tag in tags(shown) if tag.startswith("metrics/")]
    assert "metrics/F1-O" in named and "metrics/P-C" not in named  # It is undefined.


def test_the_same_images_are_shown_every_time_beside_their_mirror_images(shown):
    examples = choose_examples(LABELS, 3)
    pictures = [tag for tag in tags(shown) if tag.startswith("heatmaps/")]
    assert pictures == [
        f"heatmaps/{number + 1:02d} {NAMES[column]}" for number, (_, column) in enumerate(examples)
    ]
    for tag, (row, _) in zip(pictures, examples, strict=True):
        first, second = values(shown, tag)
        assert steps(shown, tag) == [5, 10] and first[2] == second[2]
        width, height, file = first
        picture = np.asarray(Image.open(io.BytesIO(file))).astype(int)
        assert (int(width), int(height)) == (194, 210) == picture.shape[1::-1]
        # The network sees each view alone, and its maps follow the flip.
        np.testing.assert_array_equal(picture[:96, :96], picture[:96, :97:-1])
        assert np.abs(picture[96:192, :96] - picture[96:192, :97:-1]).max() <= 1
        small = np.asarray(Image.fromarray(np.rint(IMAGES[row]).astype("uint8")).resize((96, 96)))
        np.testing.assert_array_equal(picture[:96, :96], small)
        assert (picture[192:] < 255).any()  # The probabilities.


def test_one_scale_of_colours_shows_which_view_is_hotter():
    image = np.full((200, 200, 3), 128.0)
    heatmaps = np.stack([np.zeros((4, 4)), np.ones((4, 4))])
    picture = mirror_picture(image, heatmaps, [0.1, 0.9])
    assert picture.shape == (402, 386, 3)
    cold, hot = picture[300, 50].astype(int), picture[300, 300].astype(int)
    assert hot[0] > cold[0] and (np.ptp(picture[200:380, :190], axis=(0, 1)) == 0).all()


@pytest.mark.parametrize("count", [0, 1, 3, 99])
def test_examples_have_a_label_each(count):
    examples = choose_examples(LABELS, count)
    with_label = (LABELS == 1).any(axis=1)
    assert len(examples) == min(count, with_label.sum())
    assert examples == sorted(set(examples)) == choose_examples(LABELS.copy(), count)
    assert all(LABELS[row, column] == 1 for row, column in examples)
    # Of two labels the rarer one.
    assert all(column == 0 for row, column in examples if LABELS[row, 0] == 1)

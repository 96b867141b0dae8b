"""What a teacher adds to a training step: which pixels it sees, and that it stays as it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.small_trainer import RATIO, build_batch, build_network, numbers
from vac_tf.geometry.resizing import resize_batch
from vac_tf.geometry.transforms import parse_transforms
from vac_tf.runs.teacher import Teacher
from vac_tf.training.consistency.settings import Consistency
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.training.distillation.terms import Distillation

NAMES = ("a", "b", "c")
IMAGES, LABELS = build_batch()


def teacher_of(network, image_size=24, order=(0, 1, 2)):
    """A teacher of the same network, whose labels come in another order."""
    network.trainable = False

    def predict(images):
        outputs = network(images, training=False)
        return {name: tf.gather(value, order, axis=-1) for name, value in outputs.items()}

    names = tuple(NAMES[column] for column in order)
    return Teacher("runs/teacher", "0" * 64, names, (), image_size, "nearest", predict)


def trainer_of(distillation, network=None, transforms="hflip", **consistency):
    return ConsistencyTrainer(
        network or build_network(),
        RATIO,
        parse_transforms(transforms, "nearest"),
        Consistency(**consistency),
        distillation=distillation,
    )


def other_network(**options):
    network = build_network(**options)
    generator = np.random.default_rng(5)
    network.set_weights([np.abs(generator.normal(0, 0.3, w.shape)) for w in network.get_weights()])
    return network


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_a_network_has_nothing_to_learn_from_itself(order):
    columns = [order.index(column) for column in range(3)]
    distillation = Distillation(teacher_of(build_network(), order=order), columns)
    terms = numbers(trainer_of(distillation, transforms="hflip").judge(IMAGES, LABELS)[0])
    assert terms["distillation_logits"] == terms["distillation_heatmaps"] == 0.0
    others = terms["classification_loss"] + terms["consistency_loss"]
    assert terms["loss"] == pytest.approx(others)


def test_the_terms_are_weighed_and_added_to_the_loss():
    teacher = teacher_of(other_network())
    terms = numbers(trainer_of(Distillation(teacher, (0, 1, 2), 0.5, 3.0)).judge(IMAGES, LABELS)[0])
    expected = 0.5 * terms["distillation_logits"] + 3.0 * terms["distillation_heatmaps"]
    assert terms["distillation_loss"] == pytest.approx(expected) and expected > 0
    others = terms["classification_loss"] + terms["consistency_loss"]
    assert terms["loss"] == pytest.approx(others + expected)
    alone = numbers(trainer_of(Distillation(teacher, (0, 1, 2), 0.5, 0)).judge(IMAGES, LABELS)[0])
    assert alone["distillation_loss"] == pytest.approx(0.5 * terms["distillation_logits"])
    assert "distillation_heatmaps" not in alone


@pytest.mark.parametrize("options", [{}, {"pairs": "grid"}, {"drawing_seed": 1}])
def test_the_teacher_sees_what_the_student_sees_resized_as_it_is_used_to(options):
    seen, network = [], build_network()

    def predict(images):
        tf.py_function(lambda pixels: seen.append(pixels.numpy()), [images], [])
        return network(images, training=False)

    teacher = Teacher("runs/teacher", "", NAMES, (), 16, "nearest", predict)
    trainer = trainer_of(Distillation(teacher, (0, 1, 2)), transforms="hflip,scale:32", **options)
    trainer.compile("sgd")
    tf.function(trainer.move_weights)((IMAGES, LABELS))
    shown = [
        resize_batch(images, 16, "nearest").numpy() for images in trainer.training_inputs(IMAGES)
    ]
    assert seen
    for images in seen:
        assert any(np.array_equal(images, each) for each in shown)


@pytest.mark.parametrize(("dtype", "jit_compile"), [("mixed_bfloat16", False), ("float32", True)])
def test_the_teacher_is_neither_trained_nor_saved(tmp_path, dtype, jit_compile):
    network = other_network()
    before = [np.array(weight) for weight in network.get_weights()]
    plain = trainer_of(None)
    taught = trainer_of(Distillation(teacher_of(network), (0, 1, 2)), build_network(dtype))
    assert len(taught.variables) == len(plain.variables)
    taught.compile("adam", jit_compile=jit_compile)
    history = taught.fit(IMAGES, LABELS, epochs=2, verbose=0).history
    assert history["distillation_logits"][1] < history["distillation_logits"][0]
    for weight, old in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    taught.save(tmp_path / "trainer.keras")
    again = keras.models.load_model(tmp_path / "trainer.keras")
    assert again.distillation is None
    np.testing.assert_array_equal(again.predict(IMAGES)["logits"], taught.predict(IMAGES)["logits"])


def test_unknown_labels_are_taught_and_examples_without_weight_are_not():
    distillation = Distillation(teacher_of(other_network()), (0, 1, 2))
    trainer = trainer_of(distillation, transforms="")
    known = numbers(trainer.judge(IMAGES, LABELS)[0])
    unknown = numbers(trainer.judge(IMAGES, np.full((4, 3), np.nan, np.float32))[0])
    assert unknown["classification_loss"] == 0.0
    assert unknown["distillation_loss"] == known["distillation_loss"] > 0
    weights = np.array([4, 0, 0, 0], np.float32)
    weighted = numbers(trainer.judge(IMAGES, LABELS, weights)[0])
    alone = numbers(trainer.judge(IMAGES[:1], LABELS[:1])[0])
    assert weighted["distillation_loss"] == pytest.approx(alone["distillation_loss"], rel=1e-5)


def test_a_step_in_parts_is_the_same_step():
    ends = []
    for parts in (1, 2):
        distillation = Distillation(teacher_of(other_network()), (0, 1, 2))
        network = build_network(is_normalized=False)
        trainer = trainer_of(distillation, network)
        trainer.compile(keras.optimizers.SGD(0.1), accumulate_steps=parts)
        trainer.fit(IMAGES, LABELS, batch_size=4, verbose=0)
        ends.append(network.get_weights())
    for whole, in_parts in zip(*ends, strict=True):
        np.testing.assert_allclose(whole, in_parts, rtol=1e-4, atol=1e-6)

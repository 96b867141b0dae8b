"""One transform a step: fair draws that depend on seed and step only, and unbiased terms."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.vac_tf.small_trainer import ALL_TRANSFORMS, build_batch, build_trainer, numbers
from vac_tf.training.consistency.drawing import draw
from vac_tf.training.resume import load_state, save_state

SEED = 3
NUMBER = 4


def build(rate=0.0, transforms=ALL_TRANSFORMS, **options):
    """A compiled trainer that draws; always with the same weights."""
    trainer = build_trainer(transforms, drawing_seed=SEED)
    trainer.compile(optimizer=keras.optimizers.SGD(rate, momentum=0.9), **options)
    return trainer


def variables(trainer):
    return [np.asarray(v) for v in [*trainer.variables, *trainer.optimizer.variables]]


def fit(trainer, steps):
    """The trainer's terms and variables after some steps on one batch."""
    batches = tf.data.Dataset.from_tensors(build_batch()).repeat(steps)
    history = trainer.fit(batches, shuffle=False, verbose=0).history
    return history, variables(trainer)


def assert_equal(first, second, tolerance=0.0):
    for name, values in second[0].items():
        np.testing.assert_allclose(first[0][name], values, rtol=tolerance, err_msg=name)
    for value, expected in zip(first[1], second[1], strict=True):
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("options", [{}, pytest.param({"jit_compile": True}, id="xla")])
def test_draws_are_fair_and_depend_on_seed_and_step_only(options):
    @tf.function(**options)
    def draws(steps):
        return tf.map_fn(lambda step: draw(SEED, step, 3), steps, fn_output_signature=tf.int32)

    drawn = draws(tf.range(3000)).numpy()
    counts = collections.Counter(drawn.tolist())
    # Four standard deviations of a fair draw.
    assert set(counts) == {0, 1, 2} and all(abs(n - 1000) < 104 for n in counts.values())
    assert [int(draw(SEED, step, 3)) for step in range(20)] == drawn[:20].tolist()
    other = [int(draw(2**31 + 5, step, 3)) for step in range(20)]
    assert other != drawn[:20].tolist()


def test_a_step_has_the_views_and_the_term_of_one_transform():
    images, labels = build_batch()
    trainer = build()
    drawn = set()
    for step in range(4):
        trainer.optimizer.iterations.assign(step)
        terms = numbers(trainer.loss_terms(images, labels, training=True))
        transform = trainer.transforms[int(draw(SEED, step, NUMBER))]
        alone = numbers(build_trainer(transform.spec).loss_terms(images, labels, training=True))
        drawn.add(transform.spec)
        assert terms["classification_loss"] == pytest.approx(alone["classification_loss"])
        expected = {t.term: 0.0 for t in trainer.transforms}
        expected[transform.term] = NUMBER * alone[transform.term]
        assert {name: terms[name] for name in expected} == pytest.approx(expected, rel=1e-5)
        assert terms["consistency_loss"] == pytest.approx(sum(expected.values()), rel=1e-5)
    assert len(drawn) > 1


def test_outside_of_training_all_transforms_are_shown():
    batch = build_batch()
    terms = numbers(build().loss_terms(*batch, training=False))
    everything = build_trainer(ALL_TRANSFORMS).loss_terms(*batch, training=False)
    assert terms == pytest.approx(numbers(everything))


def test_the_inputs_of_training_steps_are_those_of_every_draw():
    images, _ = build_batch()
    shapes = [tuple(each.shape[:2]) for each in build().training_inputs(images)]
    assert shapes == [(8, 24), (8, 24), (8, 24), (4, 24), (4, 16)]


@pytest.mark.slow
def test_a_run_that_is_continued_draws_as_though_it_had_not_stopped(tmp_path):
    whole, first, second = (build(0.05, "hflip,scale:16") for _ in range(3))
    for trainer, steps in ((whole, 3), (first, 1)):
        for _ in range(steps):
            trainer.train_step(build_batch())
    path = str(tmp_path / "state.npz")
    progress = {"epoch": 0, "step": 1, "history": [], "best": {}, "best_epoch": 0, "winner": ""}
    save_state(path, first, progress)
    load_state(path, second)
    for _ in range(2):
        second.train_step(build_batch())
    for value, expected in zip(variables(second), variables(whole), strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "tolerance"),
    [({"steps_per_execution": 2}, 0.0), ({"jit_compile": True}, 1e-5)],
    ids=["several steps an execution", "xla"],
)
def test_every_way_to_run_a_step_draws_the_same(options, tolerance):
    plain, other = build(0.05), build(0.05, **options)
    assert_equal(fit(other, 6), fit(plain, 6), tolerance)


@pytest.mark.slow
def test_the_parts_of_a_step_draw_the_same():
    """One image a part, whose batch statistics would be others: no moving of weights."""
    history, _ = fit(build(accumulate_steps=4), 6)
    trainer, expected = build(), collections.defaultdict(float)
    images, labels = build_batch()
    for step in range(6):
        trainer.optimizer.iterations.assign(step)
        for number in range(4):
            part = images[number : number + 1], labels[number : number + 1]
            for name, value in numbers(trainer.loss_terms(*part, training=True)).items():
                expected[name] += value / 24
    assert {name: values[0] for name, values in history.items()} == pytest.approx(
        expected, rel=1e-5
    )

"""The share of its time that a training waits for images."""

import time
import types

import numpy as np
import tensorflow as tf

from vac_tf.inputs import data_wait
from vac_tf.inputs.data_wait import DataWait, advice

PAUSE = 0.01


@tf.function
def take(iterator):
    """As Keras does: inside a function."""
    return next(iterator)


def test_the_batches_stay_what_they_are():
    batches = tf.data.Dataset.range(7).map(lambda i: ({"images": i, "scale:4": -i}, 2 * i)).batch(3)
    timed = DataWait().timed(batches)
    assert int(timed.cardinality()) == 3 and timed.element_spec == batches.element_spec
    for batch, expected in zip(timed, batches, strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, batch, expected)


def test_the_wait_for_each_batch_counts():
    def slowly(number):
        return tf.numpy_function(lambda x: (time.sleep(PAUSE), x)[1], [number], tf.int64)

    wait = DataWait()
    timed = wait.timed(tf.data.Dataset.range(4).map(slowly))
    iterator = iter(timed)
    take(iterator)
    wait.on_train_batch_end(0, {})
    assert wait.share is None and wait.logs() == {}
    for step in range(1, 4):
        take(iterator)
        wait.on_train_batch_end(step, logs := {})
        assert logs["data_wait_share"] == wait.share
        assert 0.0 < wait.share <= 1.0
    assert wait.logs() == {"data_wait_share": round(wait.share, 4)}
    # A thread of tf.data's own would wait on end while a step computes.
    assert timed.options().experimental_optimization.inject_prefetch is False


def test_the_share_is_that_of_the_time_since_the_first_step(monkeypatch):
    clock = iter([100.0, 104.0, 110.0])
    monkeypatch.setattr(data_wait.time, "monotonic", lambda: next(clock))
    wait = DataWait()
    shares = []
    for seconds in (50.0, 53.0, 56.0):  # The first batch took 50 s.
        wait._seconds.assign(seconds)
        wait.on_train_batch_end(0, None)
        shares.append(wait.share)
    assert shares == [None, 0.75, 0.6]


def test_a_long_wait_gets_the_advice_that_still_helps():
    config = types.SimpleNamespace(cache="none", cache_content="photographs", dataset="coco")
    assert advice(config, 0.29) == ""
    assert "waited 31% of their time" in advice(config, 0.31)
    assert "--cache=memory (or disk) with --cache_content=inputs" in advice(config, 0.31)
    given = types.SimpleNamespace(**vars(config) | {"dataset": "given"})
    assert "--cache" not in advice(given, 0.31) and "cache()" in advice(given, 0.31)
    config.cache = "disk"
    assert "--cache=" not in advice(config, 0.31)
    assert "--cache_content=inputs" in advice(config, 0.31)
    config.cache_content = "inputs"
    assert advice(config, 0.9) == ""

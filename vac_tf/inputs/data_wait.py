"""The share of its time that a training waits for images: measured, shown, and what to do."""

import time

import keras
import tensorflow as tf

from vac_tf.configs.fields import GIVEN

# Waiting for less than this is not worth a line of advice.
_MUCH = 0.3


class DataWait(keras.callbacks.Callback):
    """Measures how long the steps of an epoch wait for their batches.

    `share` is that time as a fraction of all time since the end of the epoch's first step, 0..1,
    which is left out: it waits for the first images, and the first one of a process is traced;
    None before the second step. The progress bar shows it as `data_wait_share`.
    """

    def __init__(self):
        super().__init__()
        self.share: float | None = None
        self._start = None
        with tf.device("/CPU:0"):
            self._seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    def timed(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """The same batches; whoever takes one is noted to have waited for it.

        Keras takes batches inside the function that runs a step, so the clock has to be in the
        dataset: a zip takes the time, the batch and the time, in this order.
        """
        clock = tf.data.Dataset.range(tf.int64.max).map(lambda _: tf.timestamp())

        def note(before, batch, after):
            added = self._seconds.assign_add(after - before, read_value=False)
            with tf.control_dependencies([added]):
                return tf.nest.map_structure(tf.identity, batch)

        options = tf.data.Options()
        # It would be its thread that waits, also while a step computes.
        options.experimental_optimization.inject_prefetch = False
        return tf.data.Dataset.zip((clock, batches, clock)).map(note).with_options(options)

    def seconds(self) -> float:
        """What the steps have waited so far, the first one included."""
        return float(self._seconds.numpy())

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic(), self.seconds()
        if self._start is None:
            self._start = now
            return
        elapsed, waited = (end - start for end, start in zip(now, self._start, strict=True))
        self.share = waited / elapsed
        if logs is not None:
            logs["data_wait_share"] = self.share  # Callbacks behind this one see it.

    def logs(self) -> dict[str, float]:
        """The epoch's log entry; empty for an epoch of one step."""
        return {} if self.share is None else {"data_wait_share": round(self.share, 4)}


def advice(config, share: float) -> str:
    """What makes the steps wait less, in a sentence; empty where nothing is known to.

    Args:
        config: of the run; has `dataset`, `cache` and `cache_content`.
        share: see `DataWait`.
    """
    if share < _MUCH or (config.cache != "none" and config.cache_content == "inputs"):
        return ""
    if config.dataset == GIVEN:
        return (
            f"The steps waited {share:.0%} of their time for batches: let your tf.data load in"
            " parallel (num_parallel_calls=tf.data.AUTOTUNE), and cache() what is the same each"
            " epoch."
        )
    what = "--cache_content=inputs resizes"
    if config.cache == "none":
        what = "--cache=memory (or disk) with --cache_content=inputs decodes and resizes"
    return (
        f"The steps waited {share:.0%} of their time for images: {what} each image once, not once"
        " an epoch, to the same pixels; the run may be stopped and go on with it."
    )

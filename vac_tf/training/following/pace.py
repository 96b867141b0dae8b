"""How fast the steps of an epoch go, read from counters that are kept anyway."""

import dataclasses
import time

import keras

from vac_tf.inputs.data_wait import DataWait


@dataclasses.dataclass(frozen=True)
class Moment:
    """What the counters of an epoch say at the end of a step.

    Attributes:
        seconds: of a clock.
        images: that the epoch has seen.
        waited: seconds that its steps have waited for images; None where that is not measured.
    """

    seconds: float
    images: float
    waited: float | None

    def since(self, earlier: "Moment") -> dict[str, float]:
        """`images_per_second` and `data_wait_share` (0..1) between two moments, where known."""
        seconds = self.seconds - earlier.seconds
        if seconds <= 0:
            return {}
        rates = {"images_per_second": (self.images - earlier.images) / seconds}
        if self.waited is not None:
            rates["data_wait_share"] = (self.waited - earlier.waited) / seconds
        return rates


class Pace(keras.callbacks.Callback):
    """Measures the images a second of an epoch's training steps, without what comes between epochs.

    The first step is left out: it waits for the first images, and the first one of a process is
    traced. Nothing waits for a device: by the time Keras calls, it has read the loss of the step.

    Args:
        trainer: whose first metric is a running mean over images.
        data_wait: of the same steps; None: where waiting is not measured.
    """

    def __init__(self, trainer: keras.Model, data_wait: DataWait | None):
        super().__init__()
        self._trainer = trainer
        self._data_wait = data_wait
        self.start: Moment | None = None
        self._end: Moment | None = None

    def on_train_batch_end(self, batch, logs=None):
        if self.start is None:
            self.start = self.moment()

    def on_epoch_end(self, epoch, logs=None):
        self._end = self.moment()

    def moment(self) -> Moment:
        """What the counters say now."""
        waited = self._data_wait.seconds() if self._data_wait else None
        images = float(self._trainer.metrics[0].count.numpy())
        return Moment(time.monotonic(), images, waited)

    def logs(self) -> dict[str, float]:
        """The epoch's log entry; empty for an epoch of one step."""
        if self.start is None or self._end is None or self._end.images <= self.start.images:
            return {}
        rate = self._end.since(self.start).get("images_per_second")
        return {} if rate is None else {"images_per_second": round(rate, 2)}

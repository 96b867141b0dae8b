"""A request to stop that all processes of a run follow at the same step."""

import signal

from vac_tf.training.callbacks import StopRequest

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class AgreedStopRequest(StopRequest):
    """Stops when any process was asked to: each tells the others of its signal with every step.

    What comes during a step or a validation is agreed upon in the step that follows.
    """

    def __init__(self):
        super().__init__()
        self._train_function = None

    def agree_in(self, train_function) -> None:
        """Sets the `TrainFunction` whose steps ask `asked` of all processes."""
        self._train_function = train_function

    def asked(self) -> list[float]:
        """For each signal 1 if this process got it, else 0."""
        return [float(number == self.noted) for number in _SIGNALS]

    @property
    def signal_number(self) -> int | None:
        """The signal that any process had got before the last step."""
        answer = self._train_function and self._train_function.answer
        if answer is None:
            return None
        came = [number for number, count in zip(_SIGNALS, answer.numpy(), strict=True) if count]
        return came[0] if came else None

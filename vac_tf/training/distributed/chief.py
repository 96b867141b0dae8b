"""What the chief tells the other workers: all of them make the call at the same point."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def from_chief(strategy: tf.distribute.Strategy, is_chief: bool, value: Callable[[], Any]) -> Any:
    """What `value` returns on the chief, where alone it is called: anything JSON can hold."""
    contents = json.dumps(value(), default=float).encode() if is_chief else b""
    (length,) = _sum(strategy, np.array([len(contents)], "float32"))
    numbers = np.zeros(int(length), "float32")
    if is_chief:
        numbers[:] = np.frombuffer(contents, np.uint8)
    return json.loads(_sum(strategy, numbers).astype(np.uint8).tobytes())


def copy_variables_from_chief(
    strategy: tf.distribute.Strategy, is_chief: bool, variables: list
) -> None:
    """Gives every variable of the other workers the value that it has on the chief."""
    for variable in variables:
        value = variable.numpy()
        # Collective operations add float32; other numbers go by their bytes.
        is_plain = value.dtype == np.float32
        numbers = value if is_plain else np.frombuffer(value.tobytes(), np.uint8)
        sent = numbers if is_chief else np.zeros_like(numbers)
        received = _sum(strategy, sent.astype("float32"))
        if is_chief:
            continue
        if not is_plain:
            received = np.frombuffer(received.astype(np.uint8).tobytes(), value.dtype)
        variable.assign(received.reshape(value.shape))


def _sum(strategy, numbers):
    """The sum over all workers; only the chief's may be other than 0."""
    total = strategy.reduce("SUM", _on_every_replica(strategy, numbers), axis=None)
    return total.numpy()


def _on_every_replica(strategy, numbers):
    """On the first replica of this worker the numbers, on its others zeros."""
    count = len(strategy.extended.worker_devices)
    values = [tf.identity(numbers), *[tf.zeros(numbers.shape)] * (count - 1)]
    if count == 1:
        return values[0]
    return strategy.experimental_distribute_values_from_function(
        lambda context: values[context.replica_id_in_sync_group % count]
    )

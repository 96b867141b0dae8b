"""The distribution that a run asks for."""

from vac_tf.training.distributed.distribution import (
    ONE_DEVICE,
    Distribution,
    mirrored_distribution,
)


def start_distribution(config) -> Distribution:
    """The devices of a run: to be called before anything else of TensorFlow.

    Args:
        config: has `strategy`.

    Raises:
        ValueError: there is only one device.
    """
    if config.strategy == "mirrored":
        return mirrored_distribution()
    return ONE_DEVICE

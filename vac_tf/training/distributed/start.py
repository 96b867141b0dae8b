"""The distribution that a run asks for."""

import functools
import os

import tensorflow as tf

from vac_tf.training.distributed.cluster import Cluster, read_cluster, wait_for_workers
from vac_tf.training.distributed.distribution import (
    ONE_DEVICE,
    Distribution,
    mirrored_distribution,
)


def find_cluster(config) -> Cluster | None:
    """The workers of a run of several; None for a run of one process.

    Raises:
        ValueError: TF_CONFIG cannot be used or names one worker only, or a disk cache would lie in
            the run folder, which the chief alone writes.
    """
    if config.strategy != "multi_worker":
        return None
    cluster = read_cluster(os.environ)
    if len(cluster.addresses) < 2:
        raise ValueError(
            f"--strategy=multi_worker needs several workers, and TF_CONFIG names one,"
            f" {cluster.addresses[0]}: use --strategy=mirrored for the GPUs of one host."
        )
    if config.cache == "disk" and not config.cache_dir:
        raise ValueError(
            "--cache=disk of several workers needs --cache_dir, a folder on each of their hosts:"
            " only the chief writes to the run folder."
        )
    return cluster


def start_distribution(config, cluster: Cluster | None = None) -> Distribution:
    """The devices of a run: to be called before anything else of TensorFlow.

    Args:
        config: has `strategy` and `connection_seconds`.
        cluster: see `find_cluster`.

    Raises:
        ValueError: there is only one device, or another worker cannot be reached.
    """
    if config.strategy == "mirrored":
        return mirrored_distribution()
    if cluster is None:
        return ONE_DEVICE
    wait_for_workers(cluster, config.connection_seconds)
    return Distribution(_multi_worker_strategy(), cluster)


@functools.cache
def _multi_worker_strategy():
    """One for the process: TensorFlow connects its workers once."""
    return tf.distribute.MultiWorkerMirroredStrategy()

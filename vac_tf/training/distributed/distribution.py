"""The devices that share the steps of a run."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from vac_tf.training.callbacks import StopRequest
from vac_tf.training.distributed.chief import copy_variables_from_chief, from_chief
from vac_tf.training.distributed.cluster import Cluster
from vac_tf.training.distributed.lost_worker import naming_lost_workers
from vac_tf.training.distributed.stopping import AgreedStopRequest
from vac_tf.training.distributed.train_function import TrainFunction
from vac_tf.training.weight_average import moving_normalizations, weight_keeper


@dataclasses.dataclass(frozen=True)
class Distribution:
    """One device (no strategy), or several replicas that share every batch.

    Attributes:
        strategy: of the replicas.
        cluster: the workers that they are spread over; None: this process has them all.
    """

    strategy: tf.distribute.Strategy | None = None
    cluster: Cluster | None = None

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the run folder; the others write nothing."""
        return self.cluster is None or self.cluster.is_chief

    @property
    def num_replicas(self) -> int:
        return self.strategy.num_replicas_in_sync if self.strategy else 1

    def scope(self):
        """Inside, variables are made for every replica: those of the network and the optimizer."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    def check_batches(self, training) -> None:
        """Checks that every replica gets a part of every batch.

        Raises:
            ValueError: the batch size is no multiple of the replicas, or the last batch of an
                epoch has fewer images.
        """
        replicas, size, smallest = self.num_replicas, training.batch_size, training.smallest_batch
        if size % replicas:
            raise ValueError(
                f"batch_size {size} cannot be shared out evenly to {replicas} replicas: use a"
                f" multiple of {replicas}, such as --batch_size={size + replicas - size % replicas}"
                " (it counts the images of all replicas together)."
            )
        if smallest < replicas:
            raise ValueError(
                f"The last batch of an epoch has {smallest} images, fewer than the {replicas}"
                " replicas: leave it out with --drop_remainder, or use another --batch_size."
            )

    def synchronize_batch_norm(self, network) -> None:
        """Makes batch normalisation take its statistics over the batch of all replicas."""
        if self.strategy:
            for layer in moving_normalizations(network):
                layer.synchronized = True

    def prepared(self, trainer) -> StopRequest:
        """Makes `fit` train a compiled trainer on all replicas; returns how they are stopped."""
        if not self.strategy:
            return StopRequest()
        # Keras adds the gradients up once more after clipping them; they are whole by then.
        weight_keeper(trainer.optimizer)._all_reduce_sum_gradients = lambda pairs: pairs
        if not self.cluster:
            trainer.train_function = TrainFunction(trainer, self.strategy)
            return StopRequest()
        request = AgreedStopRequest()
        trainer.train_function = TrainFunction(trainer, self.strategy, request.asked)
        request.agree_in(trainer.train_function)
        return request

    def from_chief(self, value: Callable[[], Any]) -> Any:
        """What `value` returns on the chief, where alone it is called, as JSON holds it."""
        if not self.cluster:
            return value()
        return from_chief(self.strategy, self.is_chief, value)

    def copy_from_chief(self, variables: list) -> None:
        """Gives the variables of all workers the values that they have on the chief."""
        if self.cluster:
            copy_variables_from_chief(self.strategy, self.is_chief, variables)

    def naming_lost_workers(self):
        """Inside, a worker that is gone is a WorkerLostError."""
        return naming_lost_workers(self.cluster)

    def epoch(self, training, epoch: int, start_step: int) -> dict:
        """The arguments of `fit` that give it the batches of an epoch from a step on.

        Every process loads the images of its own replicas only.
        """
        if not self.strategy:
            return {"x": training.epoch(epoch, start_step)}
        steps = training.steps_per_epoch - start_step

        def batches_of_process(context):
            count = self.num_replicas // context.num_input_pipelines
            first = context.input_pipeline_id * count
            parts = training.epoch(
                epoch, start_step, range(first, first + count), self.num_replicas
            )
            # Where batches may run out, the processes ask each other for more at every step.
            return parts.repeat()

        batches = self.strategy.distribute_datasets_from_function(batches_of_process)
        return {"x": batches, "steps_per_epoch": steps}


ONE_DEVICE = Distribution()


def mirrored_distribution() -> Distribution:
    """All GPUs of this host; its CPUs where it has none.

    Raises:
        ValueError: there is only one device.
    """
    devices = [
        device.name
        for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    ]
    if len(devices) < 2:
        kind = devices[0].split(":")[-2]
        raise ValueError(
            f"--strategy=mirrored shares batches between the GPUs of this host, and TensorFlow sees"
            f" one device here, a {kind}: leave --strategy out (CUDA_VISIBLE_DEVICES hides GPUs)."
        )
    return Distribution(tf.distribute.MirroredStrategy(devices))

"""The function that `keras.Model.fit` calls for every step, for several replicas.

Keras 3's own fails under `MultiWorkerMirroredStrategy` (Keras issue 20585): it reduces the scalar
logs of a step along an axis that they lack. `train_function_test.py` fails when it no longer does.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf


class TrainFunction:
    """A step of all replicas, to be put into `trainer.train_function`.

    Args:
        trainer: built outside of the scope of the strategy, so that its means are variables of
            this process; its network and its optimizer belong to the scope. Has `move_weights`
            and `update_means`.
        strategy: of the replicas.
        asked: called before every step: numbers `[K]` of this process.

    Attributes:
        answer: the sum of `asked` over the replicas in the last step, float32 `[K]`: the same in
            all processes. None before the first step.
    """

    def __init__(
        self,
        trainer,
        strategy: tf.distribute.Strategy,
        asked: Callable[[], Sequence[float]] = lambda: (),
    ):
        self._trainer = trainer
        self._strategy = strategy
        self._asked = asked
        self.answer = None
        self.forget_graph()

    def forget_graph(self) -> None:
        """Makes the graph anew at the next step: the weights that it moves have changed."""
        self._step = tf.function(self._one_step, reduce_retracing=True)

    def __call__(self, iterator):
        logs, self.answer = self._step(iterator, tf.constant(self._asked(), tf.float32))
        return logs

    @property
    def traces(self) -> int:
        """How often the graph of a step was made."""
        return self._step.experimental_get_tracing_count()

    def _one_step(self, iterator, asked):
        results = self._strategy.run(self._on_replica, args=(next(iterator), asked))
        # They are the same on all replicas.
        terms, sums = tf.nest.map_structure(
            lambda value: self._strategy.experimental_local_results(value)[0], results
        )
        return self._trainer.update_means(terms, sums[0]), sums[1:]

    def _on_replica(self, data, asked):
        terms, num_examples = self._trainer.move_weights(data)
        numbers = tf.concat([[num_examples], asked], axis=0)
        return terms, tf.distribute.get_replica_context().all_reduce("SUM", [numbers])[0]

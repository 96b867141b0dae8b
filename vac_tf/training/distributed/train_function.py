"""The function that `keras.Model.fit` calls for every step, for several replicas."""

import tensorflow as tf


class TrainFunction:
    """A step of all replicas, to be put into `trainer.train_function`.

    Args:
        trainer: built outside of the scope of the strategy, so that its means are variables of
            this process; its network and its optimizer belong to the scope. Has `move_weights`
            and `update_means`.
        strategy: of the replicas.
    """

    def __init__(self, trainer, strategy: tf.distribute.Strategy):
        self._trainer = trainer
        self._strategy = strategy
        self._step = tf.function(self._one_step, reduce_retracing=True)

    def __call__(self, iterator):
        return self._step(iterator)

    @property
    def traces(self) -> int:
        """How often the graph of a step was made."""
        return self._step.experimental_get_tracing_count()

    def _one_step(self, iterator):
        results = self._strategy.run(self._on_replica, args=(next(iterator),))
        # They are the same on all replicas.
        terms, num_examples = tf.nest.map_structure(
            lambda value: self._strategy.experimental_local_results(value)[0], results
        )
        return self._trainer.update_means(terms, num_examples[0])

    def _on_replica(self, data):
        terms, num_examples = self._trainer.move_weights(data)
        replica = tf.distribute.get_replica_context()
        return terms, replica.all_reduce("SUM", [tf.reshape(num_examples, [1])])[0]

"""What the trainers of this library share: how they are compiled, and what XLA cannot compile."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.losses.label_groups import grouped_probabilities

# Such as "... on XLA_CPU_JIT: ScaleAndTranslate (No registered 'ScaleAndTranslate' OpKernel ...)".
_REASON = re.compile(r"XLA\w*: ([^{\n]{1,300})")


class CompiledTrainer(keras.Model):
    """A trainer whose optimizer and metrics have their variables once it is compiled.

    Keras makes them in the first step, so that this step is traced twice: a graph that makes
    variables cannot be called again.

    A subclass has `network` and `_means`, the running means of its loss terms by name.
    """

    accumulate_steps = 1
    # Labels that exclude each other, for the probabilities that metrics see.
    label_groups: tuple[LabelGroup, ...] = ()

    def compile(
        self,
        optimizer="rmsprop",
        *,
        metrics: Sequence[keras.metrics.Metric | str] | None = None,
        accumulate_steps: int = 1,
        **options: Any,
    ):
        """As `keras.Model.compile`; all weights must exist.

        Args:
            optimizer: as Keras has it.
            metrics: of labels and probabilities `[B, L]`, for a network with `logits`.
            accumulate_steps: Parts of a batch whose gradients are computed one after the other,
                see `vac_tf.training.step.accumulation`.
            options: of `keras.Model.compile`.

        Raises:
            ValueError: a loss, which is the trainer's own; metrics of a network without logits,
                or on several replicas.
        """
        refused = [
            name for name in ("loss", "loss_weights", "weighted_metrics") if options.get(name)
        ]
        if refused:
            raise ValueError(
                f"compile({refused[0]}=...): the loss of a {type(self).__name__} is given when it"
                " is made, and its metrics are not weighted; leave it out."
            )
        super().compile(optimizer, metrics=metrics, **options)
        self.accumulate_steps = accumulate_steps
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
        if metrics:
            self._make_metric_variables()

    def _make_metric_variables(self):
        if "logits" not in self.network.output:
            raise ValueError("compile(metrics=...) is for networks that give logits.")
        if self.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError("compile(metrics=...) is for one device; evaluate afterwards.")
        nothing = tf.zeros((1, self.network.output["logits"].shape[-1]))
        self._compile_metrics.update_state(nothing, nothing)
        self._compile_metrics.reset_state()

    @property
    def metrics(self):
        compiled = [self._compile_metrics] if getattr(self, "_compile_metrics", None) else []
        return [*self._means.values(), *compiled]

    def update_compiled_metrics(self, labels, logits) -> None:
        """Shows the metrics of `compile` the examples whose labels are all known.

        Args:
            labels, logits: `[B, L]`; unknown labels are NaN, which no metric of Keras leaves out.
        """
        if self._compile_metrics:
            known = tf.logical_not(tf.reduce_any(tf.math.is_nan(labels), axis=1))
            probabilities = grouped_probabilities(logits, self.label_groups)
            self._compile_metrics.update_state(
                *(tf.boolean_mask(values, known) for values in (labels, probabilities))
            )

    def metrics_of(self, labels, logits) -> dict[str, float]:
        """The metrics of `compile` of other examples, whose labels and logits are `[N, L]`."""
        if not self._compile_metrics:
            return {}
        self._compile_metrics.reset_state()
        self.update_compiled_metrics(labels, logits)
        values = {name: float(value) for name, value in self._compile_metrics.result().items()}
        self._compile_metrics.reset_state()
        return values

    @property
    def term_names(self) -> tuple[str, ...]:
        """The names of the loss terms."""
        return tuple(self._means)

    def get_compile_config(self) -> dict[str, Any]:
        return {**super().get_compile_config(), "accumulate_steps": self.accumulate_steps}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**keras.saving.deserialize_keras_object(config))


class StepNotCompiledError(ValueError):
    """XLA refuses the training step."""

    exit_code = 2


def uses_xla(jit_compile: str) -> bool:
    """Whether XLA compiles the step of a run with this `jit_compile`.

    `auto` compiles where that was measured to be faster: nowhere yet. On a CPU it is slower than
    oneDNN for ResNet-50; on a GPU it has not been measured.
    """
    return jit_compile == "on"


@contextlib.contextmanager
def naming_jit_compile(jit_compile: str) -> Iterator[None]:
    """Turns an error of XLA's compiler inside into a StepNotCompiledError, which names the flag."""
    try:
        yield
    except tf.errors.OpError as error:
        reason = _REASON.search(str(error)) if uses_xla(jit_compile) else None
        if reason is None:
            raise
        raise StepNotCompiledError(
            f"XLA cannot compile the training step: {reason[1].strip()}. Use --jit_compile=off."
        ) from error

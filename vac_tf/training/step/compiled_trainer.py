"""What the trainers of this library share: how they are compiled, and what XLA cannot compile."""

import contextlib
import re
from collections.abc import Iterator

import keras
import tensorflow as tf

# Such as "... on XLA_CPU_JIT: ScaleAndTranslate (No registered 'ScaleAndTranslate' OpKernel ...)".
_REASON = re.compile(r"XLA\w*: ([^{\n]{1,300})")


class CompiledTrainer(keras.Model):
    """A trainer whose optimizer has its variables once it is compiled.

    Keras makes them in the first step, so that this step is traced twice: a graph that makes
    variables cannot be called again.
    """

    accumulate_steps = 1

    def compile(self, *arguments, accumulate_steps: int = 1, **options):
        """As `keras.Model.compile`; all weights must exist.

        Args:
            arguments, options: of `keras.Model.compile`.
            accumulate_steps: Parts of a batch whose gradients are computed one after the other,
                see `vac_tf.training.step.accumulation`.
        """
        super().compile(*arguments, **options)
        self.accumulate_steps = accumulate_steps
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)


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

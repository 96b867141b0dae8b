"""Optimizers in which the backbone learns at a rate of its own.

Keras has one learning rate for all variables, and scaling gradients instead does nothing to AdamW,
which divides by their size.
"""

import dataclasses

import keras
from keras import ops

from vac_tf.configs.training.fine_tuning import FineTuningSettings
from vac_tf.training.fine_tuning.frozen_backbone import backbone_layers


@dataclasses.dataclass(frozen=True)
class BackboneRate:
    """How the backbone's learning rate differs from that of the head.

    Attributes:
        variables: the trainable ones of the backbone.
        scale: its learning rate over that of the head.
        frozen_steps: steps of the run before it learns at all.
    """

    variables: list
    scale: float = 1.0
    frozen_steps: int = 0


def backbone_rate(
    config: FineTuningSettings, network: keras.Model, steps_per_epoch: int
) -> BackboneRate | None:
    """The rate of a run's backbone; None where it is that of the head from the first step on."""
    if config.backbone_learning_rate_scale == 1.0 and not config.frozen_epochs:
        return None
    variables = [v for layer in backbone_layers(network) for v in layer.trainable_variables]
    frozen_steps = config.frozen_epochs * steps_per_epoch
    return BackboneRate(variables, config.backbone_learning_rate_scale, frozen_steps)


class _OwnRate:
    """Makes an optimizer scale the learning rate of some of its variables.

    What a step adds to a variable, decoupled decay included, is proportional to the learning rate,
    in SGD with momentum and in AdamW, so that a scaled rate is a scaled step.
    """

    def set_backbone_rate(self, rate: BackboneRate) -> None:
        self._scale, self._frozen_steps = rate.scale, rate.frozen_steps
        self._backbone_keys = frozenset(self._var_key(variable) for variable in rate.variables)

    def _apply_weight_decay(self, variables):
        """Left to `update_step`: Keras decays all variables at one rate."""

    def update_step(self, gradient, variable, learning_rate):
        is_backbone = self._var_key(variable) in self._backbone_keys
        rate = learning_rate * self._scale if is_backbone else learning_rate
        if self.weight_decay and self._use_weight_decay(variable):
            decay = ops.cast(rate * self.weight_decay, variable.dtype)
            self.assign_sub(variable, variable * decay)
        if is_backbone and self._frozen_steps:
            rate = rate * self._late_start()
        super().update_step(gradient, variable, rate)

    def _late_start(self):
        """What corrects a step of variables that began to learn after `_frozen_steps`."""
        return 1.0


class SGD(_OwnRate, keras.optimizers.SGD):
    """`keras.optimizers.SGD` in which the backbone has a rate of its own."""


class AdamW(_OwnRate, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` in which the backbone has a rate of its own."""

    def _late_start(self):
        # Keras corrects the bias of the moments by the steps of the whole run: the first steps of
        # moments that start at 0 later would be up to three times too long.
        step = ops.cast(self.iterations + 1, "float32")
        own_step = ops.maximum(step - self._frozen_steps, 1.0)
        return self._bias_correction(own_step) / self._bias_correction(step)

    def _bias_correction(self, step):
        """sqrt(1 - beta_2^t) / (1 - beta_1^t) (Kingma & Ba, 2015, end of Section 2)."""
        return ops.sqrt(1.0 - ops.power(self.beta_2, step)) / (1.0 - ops.power(self.beta_1, step))

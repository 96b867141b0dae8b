"""Learning rate schedules and optimizers by name."""

import math

import keras
from keras import ops

from vac_tf.configs.classification import TrainConfig
from vac_tf.training.fine_tuning import backbone_rate
from vac_tf.training.fine_tuning.backbone_rate import BackboneRate


@keras.saving.register_keras_serializable(package="vac_tf")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then constant, step, cosine or one-cycle.

    Args:
        kind: `"constant"`; `"step"`: times `factor` every `step_steps` steps; `"cosine"`: half a
            cosine from `peak` to 0 at `total_steps` (Loshchilov & Hutter, SGDR, 2017);
            `"one_cycle"`: cosine from peak/25 up to `peak` at 30 % and down to peak/250,000
            (Smith & Topin, 2018, with the constants of PyTorch's OneCycleLR).
        peak: The highest learning rate.
        total_steps: Steps of the whole run.
        warmup_steps: Steps of linear warm-up from peak/warmup_steps; they come out of the total.
        step_steps: Steps between two drops of `"step"`.
        factor: Factor of each drop.
    """

    def __init__(self, kind, peak, total_steps, warmup_steps=0, step_steps=1, factor=0.5):
        if kind not in _SHAPES:
            raise ValueError(f"Unknown schedule {kind!r}. Expected one of: {', '.join(_SHAPES)}.")
        self.kind = kind
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.step_steps = step_steps
        self.factor = factor

    def __call__(self, step):
        step = ops.cast(step, "float32")
        length = max(self.total_steps - self.warmup_steps, 1)
        after_warmup = step - self.warmup_steps
        progress = ops.clip(after_warmup / length, 0.0, 1.0)
        rate = self.peak * _SHAPES[self.kind](self, progress, ops.maximum(step, 0.0))
        if not self.warmup_steps:
            return rate
        warmup = self.peak * (step + 1.0) / self.warmup_steps
        return ops.where(step < self.warmup_steps, warmup, rate)

    def get_config(self):
        return {
            "kind": self.kind,
            "peak": self.peak,
            "total_steps": self.total_steps,
            "warmup_steps": self.warmup_steps,
            "step_steps": self.step_steps,
            "factor": self.factor,
        }


def _constant(schedule, progress, step):
    del schedule, step
    return ops.ones_like(progress)


def _step(schedule, progress, step):
    del progress
    return ops.power(schedule.factor, ops.floor(step / schedule.step_steps))


def _cosine(schedule, progress, step):
    del schedule, step
    return 0.5 * (1.0 + ops.cos(math.pi * progress))


def _one_cycle(schedule, progress, step):
    del schedule, step
    rising = _between(1.0 / 25.0, 1.0, progress / 0.3)
    falling = _between(1.0, 1.0 / 250_000.0, (progress - 0.3) / 0.7)
    return ops.where(progress < 0.3, rising, falling)


def _between(start, end, fraction):
    return end + (start - end) * 0.5 * (1.0 + ops.cos(math.pi * fraction))


_SHAPES = {"constant": _constant, "step": _step, "cosine": _cosine, "one_cycle": _one_cycle}


def build_schedule(config: TrainConfig, steps_per_epoch: int) -> Schedule:
    """The schedule of a run of `config.epochs` epochs."""
    return Schedule(
        config.schedule,
        config.learning_rate,
        total_steps=config.epochs * steps_per_epoch,
        warmup_steps=round(config.warmup_epochs * steps_per_epoch),
        step_steps=config.schedule_step_epochs * steps_per_epoch,
        factor=config.schedule_step_factor,
    )


def build_optimizer(
    config: TrainConfig, steps_per_epoch: int, backbone: BackboneRate | None = None
):
    """The optimizer of a run; with `backbone` the one whose backbone has a rate of its own.

    SGD's weight decay is coupled and added by the trainer; AdamW's is decoupled. The gradient
    norm is clipped after the coupled decay is added. Under mixed_float16 the loss is scaled
    dynamically.
    """
    options = {
        "learning_rate": build_schedule(config, steps_per_epoch),
        "global_clipnorm": config.gradient_clip_norm or None,
        "use_ema": config.ema_decay > 0,
        "ema_momentum": config.ema_decay or 0.99,
    }
    classes = backbone_rate if backbone else keras.optimizers
    if config.optimizer == "sgd":
        optimizer = classes.SGD(momentum=config.momentum, nesterov=config.nesterov, **options)
    else:
        optimizer = classes.AdamW(weight_decay=config.weight_decay, **options)
    if backbone:
        optimizer.set_backbone_rate(backbone)
    return with_scaled_loss(optimizer, config.precision)


def with_scaled_loss(
    optimizer: keras.optimizers.Optimizer, precision: str
) -> keras.optimizers.Optimizer:
    """The optimizer that scales the loss where the precision asks for it; once."""
    is_scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if precision != "mixed_float16" or is_scaled:
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def leave_undecayed(optimizer, variables) -> None:
    """Excludes biases and the scales and offsets of normalisation from decoupled weight decay.

    They do not overfit, and decay pulls them away from what the data ask (He et al., "Bag of
    Tricks for Image Classification", CVPR 2019, Section 3.1). To be called before the optimizer is
    built.
    """
    is_scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    deciding = optimizer.inner_optimizer if is_scaled else optimizer
    # A bias may have several axes: the dual-stream head has one per label and column.
    undecayed = [v for v in variables if len(v.shape) <= 1 or v.name == "bias"]
    deciding.exclude_from_weight_decay(var_list=undecayed)

"""Trials that Optuna asks for, from what the finished ones gave."""

import importlib.util
from collections.abc import Sequence

from vac_tf.configs.tuning.space import Choices, Space
from vac_tf.configs.tuning.trials import Values
from vac_tf.tuning.sweep.trials import FAILED, FINISHED, Trial


def check_optuna() -> None:
    """Raises ValueError where Optuna is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise ValueError(
            "--sampler=optuna needs Optuna, which is not installed here:"
            " pip install -r requirements-optuna.txt; or use --sampler=random."
        )


def ask(space: Space, earlier: Sequence[Trial], seed: int) -> Values:
    """The values of the next trial.

    The tree-structured Parzen estimator (Bergstra et al., "Algorithms for Hyper-Parameter
    Optimization", NIPS 2011) is told all earlier trials anew: no database is kept, and the same
    trials ask for the same values.

    Args:
        space: what is varied.
        earlier: the trials before it.
        seed: with the number of earlier trials that of the sampler.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed + len(earlier))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    distributions = {name: _distribution(optuna, values) for name, values in space.items()}
    for trial in earlier:
        if trial.status not in (FINISHED, FAILED):
            continue
        is_finished = trial.status == FINISHED
        states = optuna.trial.TrialState
        study.add_trial(
            optuna.trial.create_trial(
                state=states.COMPLETE if is_finished else states.FAIL,
                value=trial.validation_mAP if is_finished else None,
                params={name: _number(space[name], v) for name, v in trial.values.items()},
                distributions=distributions,
            )
        )
    asked = study.ask(distributions).params
    return {
        name: asked[name] if isinstance(values, Choices) else values.typed(asked[name])
        for name, values in space.items()
    }


def _distribution(optuna, values):
    if isinstance(values, Choices):
        return optuna.distributions.CategoricalDistribution(values.values)
    if values.is_whole:
        return optuna.distributions.IntDistribution(values.low, values.high, log=values.is_log)
    return optuna.distributions.FloatDistribution(values.low, values.high, log=values.is_log)


def _number(values, text):
    """What Optuna knows a value as; rounded for its flag, it may have left the range."""
    if isinstance(values, Choices):
        return text
    number = int(text) if values.is_whole else float(text)
    return min(max(number, values.low), values.high)

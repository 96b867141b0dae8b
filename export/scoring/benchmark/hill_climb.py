"""Looks for the best batch size and number of decoders by trying."""

import dataclasses
from collections.abc import Callable, Mapping

_WORTH = 1.05  # Less is noise.


@dataclasses.dataclass(frozen=True)
class Setting:
    """Images per call of the network, and decoders."""

    batch_size: int
    decoders: int


@dataclasses.dataclass(frozen=True)
class Trial:
    """What a setting gave.

    Attributes:
        images_per_second: From file to row.
        peak_bytes: The most memory that the process and its decoders had meanwhile.
    """

    images_per_second: float
    peak_bytes: int


def climb(
    measure: Callable[[Setting], Trial],
    start: Setting,
    most: Setting,
    memory_limit: int,
) -> tuple[Setting, dict[Setting, Trial]]:
    """Tries settings from `start` on: doubles or halves one of both while that is faster.

    Args:
        measure: Runs a setting.
        start: The first setting; halved until it is within the limit.
        most: The largest batch size and number of decoders to try.
        memory_limit: Bytes. A setting that is expected to need more is not tried, one that did
            is not chosen, unless the smallest does too.

    Returns:
        The best setting, and all that were tried, in order.
    """
    tried: dict[Setting, Trial] = {}

    def try_setting(setting: Setting) -> Trial:
        tried[setting] = measure(setting)
        return tried[setting]

    best = start
    while try_setting(best).peak_bytes > memory_limit and best != _half(best):
        best = _half(best)
    is_better = tried[best].peak_bytes <= memory_limit
    while is_better:
        is_better = False
        for setting in _neighbours(best, most):
            if setting in tried or _foreseen_bytes(tried, best, setting) > memory_limit:
                continue
            trial = try_setting(setting)
            is_faster = trial.images_per_second > _WORTH * tried[best].images_per_second
            if is_faster and trial.peak_bytes <= memory_limit:
                best, is_better = setting, True
                break
    return best, tried


def _half(setting: Setting) -> Setting:
    """The setting with half of the images that wait in memory; itself when there is no smaller."""
    if setting.batch_size > 1:
        return Setting(setting.batch_size // 2, setting.decoders)
    return Setting(1, max(setting.decoders // 2, 1))


def _neighbours(setting: Setting, most: Setting) -> list[Setting]:
    """The next larger and smaller settings, larger ones first."""
    batch, decoders = setting.batch_size, setting.decoders
    candidates = [
        Setting(min(2 * batch, most.batch_size), decoders),
        Setting(batch, min(2 * decoders, most.decoders)),
        Setting(max(batch // 2, 1), decoders),
        Setting(batch, max(decoders // 2, 1)),
    ]
    return [candidate for candidate in candidates if candidate != setting]


def _foreseen_bytes(tried: Mapping[Setting, Trial], best: Setting, setting: Setting) -> float:
    """What a setting will need, if memory grows with the batch as it did so far."""
    peak = tried[best].peak_bytes
    others = [s for s in tried if s.batch_size != best.batch_size]
    if setting.batch_size <= best.batch_size or not others:
        return peak
    other = min(others, key=lambda s: abs(s.batch_size - best.batch_size))
    per_image = (peak - tried[other].peak_bytes) / (best.batch_size - other.batch_size)
    return peak + per_image * (setting.batch_size - best.batch_size)

"""How many examples the published splits have, so that a part of one is not taken for it."""

import logging
import os
from collections.abc import Mapping

_LOGGER = logging.getLogger(__name__)


def warn_of_other_count(
    file: str | os.PathLike, split: str, count: int, unit: str, official: Mapping[str, int]
) -> None:
    """Warns where a split of a published name has not as many examples as it was published with.

    Args:
        file: where the split was read from.
        split: its full name.
        count: its examples.
        unit: what they are, in the plural.
        official: the published counts by name; others are not compared.
    """
    if official.get(split, count) != count:
        _LOGGER.warning(
            "%s: %d %s; the official %s has %d.", file, count, unit, split, official[split]
        )

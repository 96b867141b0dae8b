"""All targets, by name."""

from collections.abc import Sequence

from tests.fuzz.dataset_targets import DATASET_TARGETS
from tests.fuzz.program_targets import PROGRAM_TARGETS
from tests.fuzz.scoring_targets import SCORING_TARGETS
from tests.fuzz.target import Target

TARGETS = (*DATASET_TARGETS, *SCORING_TARGETS, *PROGRAM_TARGETS)


def targets(names: Sequence[str] = ()) -> tuple[Target, ...]:
    """The targets of some names; none: all.

    Raises:
        ValueError: an unknown name.
    """
    known = {target.name: target for target in TARGETS}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"No target {unknown[0]!r}. Expected some of: {', '.join(known)}.")
    return tuple(known[name] for name in names) or TARGETS

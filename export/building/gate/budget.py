"""How far an exported precision may be from the Keras network before it is refused."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Budget:
    """Limits over the gate images. None on decisions or metrics is finer than one image (1 / N).

    Attributes:
        probability: Largest difference of a probability.
        mean_probability: Mean difference of the probabilities.
        decisions: Share of the decisions that change, of all images and labels.
        label_decisions: Share of the decisions of one label that change.
        mAP, mA, F1: Loss of the metric (F1 counts all decisions: `F1-O`); a gain is no loss.
        heatmaps: Lowest correlation of a label's heatmaps with those of the Keras network.
        ties: Probabilities of the Keras network that are closer than this tie: mAP is lost only
            beyond the worst order of those.
    """

    probability: float
    mean_probability: float
    decisions: float
    label_decisions: float
    mAP: float
    mA: float
    F1: float
    heatmaps: float
    ties: float = 0.0

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} of a budget must lie between 0 and 1, got {value}.")


# Float32 rounds to some 1e-6. A network that scarcely tells a few images apart may lose any mAP by
# that, which is no fault of its file.
BUDGETS = {
    "fp32": Budget(1e-3, 1e-4, 1e-3, 1e-2, 1e-3, 1e-2, 1e-2, 0.9999, ties=1e-5),
    "fp16": Budget(2e-2, 2e-3, 3e-3, 1e-2, 2e-3, 1e-2, 1e-2, 0.999),
    "int8": Budget(2e-1, 1e-2, 1e-2, 3e-2, 5e-3, 2e-2, 2e-2, 0.98),
}
PRECISIONS = tuple(BUDGETS)


def parse_precisions(text: str) -> tuple[str, ...]:
    """`"fp32,int8"` -> `("fp32", "int8")`, in the order of `PRECISIONS`.

    Raises:
        ValueError: for an unknown precision, or without fp32, of which the others are made.
    """
    names = {name.strip() for name in text.split(",")}
    unknown = sorted(names.difference(PRECISIONS))
    if unknown or "fp32" not in names:
        raise ValueError(
            f"precisions is {text!r}. Expected fp32, and any of: {', '.join(PRECISIONS[1:])}, such"
            f" as {','.join(PRECISIONS)}."
        )
    return tuple(name for name in PRECISIONS if name in names)


def parse_budget(precision: str, changes: str) -> Budget:
    """The budget of a precision with some limits replaced: `"decisions:0.02,mAP:0.01"`.

    Raises:
        ValueError: for an unknown limit, or one that is no number in 0..1.
    """
    budget = BUDGETS[precision]
    values = {}
    for part in filter(None, changes.split(",")):
        name, _, value = (piece.strip() for piece in part.partition(":"))
        try:
            values[name] = float(value)
        except ValueError:
            raise ValueError(f"{precision}_budget: expected name:number, got {part!r}.") from None
    known = dataclasses.asdict(budget)
    unknown = sorted(set(values).difference(known))
    if unknown:
        raise ValueError(
            f"{precision}_budget: unknown limit {unknown[0]!r}. Known limits: {', '.join(known)}."
        )
    return dataclasses.replace(budget, **values)

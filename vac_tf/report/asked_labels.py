"""Which labels a user asks to see, as one setting names them."""

from collections.abc import Sequence

ALL = "all"
_NAMED = 20


def asked_labels(setting: str, label_names: Sequence[str]) -> list[int]:
    """Indices of the labels in `a,b` in that order; of every label for `all`; none for "".

    Raises:
        ValueError: naming what is no label.
    """
    if setting == ALL and ALL not in label_names:
        return list(range(len(label_names)))
    indices = {name: index for index, name in enumerate(label_names)}
    wanted = [name.strip() for name in setting.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in indices]
    if unknown:
        known = ", ".join(label_names[:_NAMED]) + (", ..." if len(label_names) > _NAMED else ".")
        raise ValueError(
            f"report_labels: {unknown} are no labels of the run. Expected all, or names separated"
            f" by commas, of: {known}"
        )
    return [indices[name] for name in dict.fromkeys(wanted)]

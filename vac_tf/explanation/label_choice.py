"""Which labels of an image are drawn."""

import csv
import difflib
from collections.abc import Sequence

import numpy as np

from vac_tf.configs.explanation import ALL, DECIDED


class LabelChoice:
    """The labels that `--labels` asks for.

    Args:
        text: `decided`, `all`, or names with commas between them, as in a row of CSV.
        label_names: Of the model.

    Raises:
        ValueError: a name that the model does not have.
    """

    def __init__(self, text: str, label_names: Sequence[str]):
        self._decided = text.strip() == DECIDED
        if self._decided or text.strip() == ALL:
            self._fixed = list(range(len(label_names)))
            return
        names = [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [])]
        names = list(dict.fromkeys(name for name in names if name))
        unknown = [name for name in names if name not in label_names]
        if unknown or not names:
            wrong = unknown[0] if unknown else ""
            near = difflib.get_close_matches(wrong, label_names, n=3)
            some = ", ".join(label_names[:20]) + (", ..." if len(label_names) > 20 else "")
            raise ValueError(
                f"--labels={text}: the model has no label {wrong!r}."
                + (f" Did you mean {', '.join(near)}?" if near else "")
                + f" Expected {DECIDED}, {ALL}, or some of its {len(label_names)} labels: {some}"
            )
        self._fixed = [list(label_names).index(name) for name in names]

    def of(self, probabilities: np.ndarray, is_decided: np.ndarray) -> list[int]:
        """Indices of the labels of an image, most probable first where the image decides.

        Of an image without a decided label the most probable one, so that there is something to
        look at; its caption says that it was not decided.

        Args:
            probabilities: `[L]`.
            is_decided: bool `[L]`.
        """
        if not self._decided:
            return self._fixed
        order = np.argsort(-probabilities, kind="stable")
        decided = [int(label) for label in order if is_decided[label]]
        return decided or [int(order[0])]

"""What a model says of one image, and where in it.

The class is that of `export.scoring.inference.result`, word for word (a test holds them together):
neither wing may import the other.
"""

import base64
import difflib
import html
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.figures.heatmap_overlay import overlay
from vac_tf.inference.image_input import ImageInput
from vac_tf.metrics.label_groups.decisions import decide
from vac_tf.runs.atomic_file import write_atomically as write_file

_SHOWN = 5  # Labels that a terminal or a notebook shows.
_SHOWN_SIDE = 384


class Result:
    """What a model says of one image.

    Of an image that could not be used `error` says why; asking for anything else of it raises
    a ValueError that says so too.

    Attributes:
        name: Path or URL of the image, or its place in the list that was given.
        label_names: L names, in the order of the network's outputs.
        thresholds: Label -> the probability above which it is decided.
        error: Why the image could not be used, or None.
    """

    def __init__(
        self,
        image: ImageInput,
        label_names: Sequence[str],
        thresholds: np.ndarray,
        outputs: Mapping[str, np.ndarray] | None = None,
        error: str | None = None,
        label_groups: Sequence[LabelGroup] = (),
    ):
        self.name = image.name
        self.label_names = tuple(label_names)
        self.thresholds = ByLabel(zip(self.label_names, thresholds.tolist(), strict=True))
        self.error = error
        self._image = image
        self._thresholds = thresholds
        self._outputs = outputs
        self._groups = label_groups

    @property
    def labels(self) -> tuple[str, ...]:
        """The decided labels, the most probable first: probability above the label's threshold.

        Of labels that exclude each other it is the most probable one, whatever its threshold; where
        none of them may hold, only above that.
        """
        values = self._output("probabilities")
        decided = decide(values[None], self._thresholds, self._groups)[0]
        return tuple(self.label_names[i] for i in np.argsort(-values, kind="stable") if decided[i])

    @property
    def probabilities(self) -> dict[str, float]:
        """Label -> probability, calibrated where the model is, in the order of `label_names`."""
        return self._by_label("probabilities")

    @property
    def logits(self) -> dict[str, float]:
        """Label -> logit of the network, not calibrated."""
        return self._by_label("logits")

    @property
    def stability(self) -> dict[str, float]:
        """Label -> how far the model's views of the image agree, 0 to 1.

        1 less the range that the label's probability has over the single views.

        Raises:
            ValueError: the model sees each image once.
        """
        if self._outputs is not None and "stability" not in self._outputs:
            raise ValueError(
                "This model has no stability: it sees each image once. Export the run with"
                " export_model.py --tta=hflip, and open the bundle."
            )
        return self._by_label("stability")

    @property
    def heatmaps(self) -> np.ndarray:
        """float32 `[h, w, L]`: the class activation maps (VAC paper, Equation 1)."""
        return self._output("heatmaps")

    @property
    def image(self) -> np.ndarray:
        """uint8 RGB `[H, W, 3]`: the whole image, decoded again (and read again, from a path).

        Raises:
            ValueError: the file is not there any more.
        """
        self._output("logits")
        return np.rint(self._image.pixels()).astype(np.uint8)

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """The most probable labels with their probabilities, decided or not."""
        return sorted(self.probabilities.items(), key=lambda pair: -pair[1])[:count]

    def heatmap(self, label: str) -> np.ndarray:
        """float32 `[h, w]`: where the network sees a label; it covers the whole image.

        Raises:
            ValueError: unknown label; the message has the nearest names.
        """
        return self.heatmaps[:, :, self._index(label)]

    def overlay(
        self,
        label: str | None = None,
        *,
        low: float | None = None,
        high: float | None = None,
        opacity: float = 0.55,
        max_side: int | None = None,
    ) -> np.ndarray:
        """The image with the heatmap of a label in colours over it.

        Args:
            label: Default: the most probable one.
            low: Heatmap value of the coldest colour, blue; default: the heatmap's smallest.
            high: Of the hottest colour, red; default: the largest. Give both to compare pictures.
            opacity: Of the colours, 0 to 1.
            max_side: A larger image is shrunk to at most so many pixels along each side.

        Returns:
            uint8 RGB `[H, W, 3]`.

        Raises:
            ValueError: unknown label.
        """
        heatmap = self.heatmap(self.top(1)[0][0] if label is None else label)
        picture = self.image
        if max_side is not None:
            shrunk = Image.fromarray(picture)
            shrunk.thumbnail((max_side, max_side))
            picture = np.asarray(shrunk)
        low = float(heatmap.min()) if low is None else low
        high = float(heatmap.max()) if high is None else high
        return overlay(picture, heatmap, low, high, opacity)

    def save(self, path: str | os.PathLike[str], label: str | None = None, **options: Any) -> None:
        """Writes `overlay(label, **options)` as a picture, whose folder is made where missing.

        Args:
            path: Its suffix says the format: .png, .jpg, .webp ...
            label: Default: the most probable one.
            **options: Of `overlay`.

        Raises:
            ValueError: unknown label, or a suffix of no format.
            OSError: the file cannot be written.
        """
        path, stream = os.fspath(path), io.BytesIO()
        suffix = os.path.splitext(path)[1].lower()
        if Image.registered_extensions().get(suffix) not in Image.SAVE:
            raise ValueError(f"{path!r} has no suffix of a picture. Expected .png, .jpg or .webp.")
        picture = Image.fromarray(self.overlay(label, **options))
        picture.save(stream, Image.registered_extensions()[suffix], quality=90)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        write_file(path, stream.getvalue())

    def _output(self, name: str) -> np.ndarray:
        if self._outputs is None:
            raise ValueError(self.error)
        return self._outputs[name]

    def _by_label(self, name: str) -> dict[str, float]:
        return ByLabel(zip(self.label_names, self._output(name).tolist(), strict=True))

    def _index(self, label: str) -> int:
        if label not in self.label_names:
            raise ValueError(unknown_label(label, self.label_names))
        return self.label_names.index(label)

    def __repr__(self) -> str:
        if self.error is not None:
            return f"<Result: {self.error}>"
        probabilities, labels = self.probabilities, self.labels
        said = ", ".join(f"{label} {probabilities[label]:.3f}" for label in labels[:_SHOWN])
        if len(labels) > _SHOWN:
            said += f" and {len(labels) - _SHOWN} more"
        if not labels:
            label, probability = self.top(1)[0]
            said = f"no label; the most probable is {label} {probability:.3f}"
        return f"<Result of {self.name}: {said}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the overlay of the most probable label, and the first labels."""
        if self.error is not None:
            return f"<p>{html.escape(self.error)}</p>"
        decided, rows = set(self.labels), []
        for label, probability in self.top(_SHOWN):
            name = html.escape(label)
            name = f"<b>{name}</b>" if label in decided else name
            rows.append(f"<tr><td>{name}</td><td>{probability:.3f}</td></tr>")
        picture = base64.b64encode(self._encoded("JPEG")).decode()
        return (
            f'<figure><img src="data:image/jpeg;base64,{picture}" alt="heatmap">'
            f"<figcaption>{html.escape(self.name)}: heatmap of {html.escape(self.top(1)[0][0])};"
            f" bold: decided</figcaption></figure><table>{''.join(rows)}</table>"
        )

    def _repr_png_(self) -> bytes | None:
        return None if self.error is not None else self._encoded("PNG")

    def _encoded(self, image_format: str) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(self.overlay(max_side=_SHOWN_SIDE)).save(stream, image_format)
        return stream.getvalue()


class ByLabel(dict[str, float]):
    """Values by label; asking for an unknown one tells the nearest names."""

    def __missing__(self, label: str) -> NoReturn:
        raise KeyError(unknown_label(label, self))


def unknown_label(label: str, label_names: Iterable[str]) -> str:
    """The message for a label that there is not, with the nearest names."""
    label_names = list(label_names)
    lower = {name.lower(): name for name in label_names}
    near = difflib.get_close_matches(str(label).lower(), lower, n=3, cutoff=0.5)
    names = [lower[name] for name in near] or label_names[:3]
    return (
        f"Unknown label {label!r}. {'Did you mean' if near else 'The labels begin with'}"
        f" {', '.join(map(repr, names))}{'?' if near else '.'} All {len(label_names)} are in"
        " label_names."
    )

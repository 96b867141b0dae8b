"""Decided labels as the JSON that annotation tools import; without the tools' own packages."""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from export.files.remote_files import is_url
from export.scoring.output.row_reader import ReadRow

_CHOICES, _IMAGE = "labels", "image"  # Names in a labeling configuration of Label Studio.


def fiftyone_labels(
    rows: Iterator[ReadRow], label_names: Sequence[str], image_root: str
) -> Iterator[str]:
    """Pieces of a `labels.json` of FiftyOne's `FiftyOneImageClassificationDataset`.

    Images are named by absolute paths, so that they may lie anywhere; labels by their number in
    `classes`, each with its probability as confidence.

    Args:
        rows: Rows with scores.
        label_names: All labels of the model.
        image_root: Where relative paths start; empty: in the working directory.
    """
    numbers = {name: number for number, name in enumerate(label_names)}
    yield '{"classes": ' + _json(list(label_names)) + ', "labels": {'
    for place, row in enumerate(rows):
        targets = [_classification(numbers[name], p) for name, p in row.decided.items()]
        yield f"{',' if place else ''}\n{_json(_absolute(row.image, image_root))}: {_json(targets)}"
    yield "\n}}\n"


def _classification(label: int, probability: float | None) -> dict[str, Any]:
    confidence = {} if probability is None else {"confidence": probability}
    return {"label": label, **confidence}


def _absolute(image: str, image_root: str) -> str:
    return image if is_url(image) else os.path.abspath(os.path.join(image_root, image))


def label_studio_tasks(
    rows: Iterator[ReadRow], model_version: str, image_prefix: str
) -> Iterator[str]:
    """Pieces of a JSON file of Label Studio tasks, each with one prediction.

    Args:
        rows: Rows with scores.
        model_version: What Label Studio calls the model.
        image_prefix: Before the image as the job was given it, to make its URL; behind one of the
            web (a path of Label Studio's own server too) its name is quoted.
    """
    is_web = image_prefix.startswith(("http://", "https://", "/"))
    yield "["
    for place, row in enumerate(rows):
        choices = {
            "from_name": _CHOICES,
            "to_name": _IMAGE,
            "type": "choices",
            "value": {"choices": list(row.decided)},
        }
        prediction: dict[str, Any] = {
            "model_version": model_version,
            "result": [choices] if row.decided else [],
        }
        probabilities = [p for p in row.decided.values() if p is not None]
        if probabilities:
            # That of the label that is least sure: what Label Studio sorts tasks by.
            prediction["score"] = min(probabilities)
        image = quote(row.image) if is_web else row.image
        if image_prefix.endswith("/"):
            image = image.lstrip("/")
        image = image_prefix + image
        task = {"data": {_IMAGE: image}, "predictions": [prediction]}
        yield f"{',' if place else ''}\n{_json(task)}"
    yield "\n]\n"


def label_studio_interface(label_names: Sequence[str]) -> str:
    """The labeling configuration to which `label_studio_tasks` fit, as XML."""
    choices = "".join(f"    <Choice value={quoteattr(name)}/>\n" for name in label_names)
    return (
        f'<View>\n  <Image name="{_IMAGE}" value="${_IMAGE}"/>\n'
        f'  <Choices name="{_CHOICES}" toName="{_IMAGE}" choice="multiple">\n{choices}'
        "  </Choices>\n</View>\n"
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

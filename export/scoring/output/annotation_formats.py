"""Decided labels as the JSON that annotation tools import; without the tools' own packages."""

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from export.files.remote_files import is_url
from export.scoring.output.row_reader import ReadRow

_CHOICES, _IMAGE = "labels", "image"  # Names in a labeling configuration of Label Studio.
_BOXES = "places"
HASH_DIGITS = 12  # Of a model's, which tell models of one user apart.


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
    path = image if is_url(image) else os.path.join(image_root, image)
    return path if is_url(path) else os.path.abspath(path)


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
    yield "["
    for place, row in enumerate(rows):
        prediction: dict[str, Any] = {
            "model_version": model_version,
            "result": _chosen(row.decided),
        }
        probabilities = [p for p in row.decided.values() if p is not None]
        if probabilities:
            # That of the label that is least sure: what Label Studio sorts tasks by.
            prediction["score"] = min(probabilities)
        task = {"data": {_IMAGE: _url(row.image, image_prefix)}, "predictions": [prediction]}
        yield f"{',' if place else ''}\n{_json(task)}"
    yield "\n]\n"


def label_studio_interface(label_names: Sequence[str]) -> str:
    """The labeling configuration to which `label_studio_tasks` fit, as XML."""
    return f"<View>\n{_image_and_choices(label_names)}</View>\n"


def _image_and_choices(label_names: Sequence[str]) -> str:
    choices = "".join(f"    <Choice value={quoteattr(name)}/>\n" for name in label_names)
    return (
        f'  <Image name="{_IMAGE}" value="${_IMAGE}"/>\n'
        f'  <Choices name="{_CHOICES}" toName="{_IMAGE}" choice="multiple">\n{choices}'
        "  </Choices>\n"
    )


@dataclasses.dataclass(frozen=True)
class PercentBox:
    """Where a network saw a label.

    Attributes:
        label: The label.
        size: Width and height of the picture in pixels.
        sides: x, y, width and height of the box in percent of these.
    """

    label: str
    size: tuple[int, int]
    sides: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class BoxedTask:
    """A picture to label.

    Attributes:
        image: As the job was given it.
        decided: The decided labels.
        label: The label that is least certain.
        certainty: How certain that is.
        boxes: Where the network saw them.
    """

    image: str
    decided: Iterable[str]
    label: str
    certainty: float
    boxes: Sequence[PercentBox]


def label_studio_box_tasks(
    tasks: Sequence[BoxedTask],
    model_sha256: str,
    measure: str,
    image_prefix: str,
    image_root: str,
) -> Iterator[str]:
    """Pieces of a JSON file of Label Studio tasks, whose prediction has labels and boxes.

    `data` holds, beside the image's URL, what a reader of the labelled export needs: `path`, the
    image's absolute path wherever the export is put, and what was asked with which model.

    Args:
        tasks: The pictures.
        model_sha256: Hash of the model file.
        measure: Of certainty: `margin` or `stability`.
        image_prefix: As for `label_studio_tasks`.
        image_root: As for `fiftyone_labels`.
    """
    yield "["
    for place, task in enumerate(tasks):
        data = {
            _IMAGE: _url(task.image, image_prefix),
            "path": _absolute(task.image, image_root),
            "least_certain": task.label,
            measure: round(task.certainty, 6),
            "model_sha256": model_sha256,
        }
        prediction = {
            "model_version": model_sha256[:HASH_DIGITS],
            # What Label Studio sorts tasks by: the least certain first.
            "score": data[measure],
            "result": [
                *_chosen(task.decided),
                *map(_rectangle, range(len(task.boxes)), task.boxes),
            ],
        }
        yield f"{',' if place else ''}\n{_json({'data': data, 'predictions': [prediction]})}"
    yield "\n]\n"


def label_studio_box_interface(label_names: Sequence[str]) -> str:
    """The labeling configuration to which `label_studio_box_tasks` fit, as XML."""
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in label_names)
    return (
        f'<View>\n  <Header value="Least certain: $least_certain"/>\n'
        f"{_image_and_choices(label_names)}"
        f'  <RectangleLabels name="{_BOXES}" toName="{_IMAGE}">\n{labels}  </RectangleLabels>\n'
        "</View>\n"
    )


def _chosen(labels: Iterable[str]) -> list[dict[str, Any]]:
    value = {"choices": list(labels)}
    chosen = {"from_name": _CHOICES, "to_name": _IMAGE, "type": "choices", "value": value}
    return [chosen] if value["choices"] else []


def _rectangle(number: int, box: PercentBox) -> dict[str, Any]:
    value: Mapping[str, Any] = dict(zip(("x", "y", "width", "height"), box.sides, strict=True))
    return {
        "id": f"{_BOXES}-{number}",
        "from_name": _BOXES,
        "to_name": _IMAGE,
        "type": "rectanglelabels",
        "original_width": box.size[0],
        "original_height": box.size[1],
        "image_rotation": 0,
        "value": {**value, "rotation": 0, "rectanglelabels": [box.label]},
    }


def _url(image: str, prefix: str) -> str:
    """What Label Studio is to open; behind a prefix of the web its name is quoted."""
    is_web = prefix.startswith(("http://", "https://", "/"))
    image = quote(image) if is_web else image
    return prefix + (image.lstrip("/") if prefix.endswith("/") else image)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

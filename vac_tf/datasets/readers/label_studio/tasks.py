"""Tasks of a Label Studio export in JSON: which picture, and who chose which labels when."""

import dataclasses
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from vac_tf.datasets.readers.json_file import identifier

_LOCAL_FILES = "/data/local-files/"
_IMAGE_KEYS = ("path", "image")  # The first is what score.py --send_uncertain writes.


class TaskError(ValueError):
    """A task that cannot be read; the message says why, `kind` what sort of fault it is.

    Args:
        message: why.
        kind: the same for tasks with the same fault.
    """

    def __init__(self, message: str, kind: str):
        super().__init__(message)
        self.kind = kind


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one person said of a picture.

    Attributes:
        annotator: who: an address of mail, or the number of the user.
        time: when it was last changed, as Label Studio writes it (ISO 8601, UTC); may be empty.
        task: number of the task.
        choices: the labels that were chosen; every other label was not.
    """

    annotator: str
    time: str
    task: str
    choices: frozenset[str]


def task_number(task: Mapping[str, Any], place: int) -> str:
    """How messages and provenance name a task: by its id, else by its place in the file."""
    number = identifier(task.get("id"))
    return f"[{place}]" if number is None else str(number)


def image_of(task: Mapping[str, Any]) -> str:
    """The picture of a task, as a path that is absolute or starts in the folder of the data.

    Raises:
        TaskError: when the task names none, or a file of the web or of Label Studio itself.
    """
    data = task.get("data")
    if not isinstance(data, dict):
        raise TaskError("`data` must be an object with the picture.", "no picture")
    for key in _IMAGE_KEYS:
        if isinstance(value := data.get(key), str) and value:
            return value if key == "path" else _path(value)
    raise TaskError(
        f"`data` must name the picture in `path` or `image`, it has {sorted(data)[:5]}.",
        "no picture",
    )


def _path(image: str) -> str:
    if image.startswith(_LOCAL_FILES):
        (found,) = parse_qs(urlsplit(image).query).get("d", [""])[:1]
        if found:
            return found
    elif "://" not in image and not image.startswith("/data/"):
        return image
    raise TaskError(
        f"the picture {image[:80]!r} is no file of this host. Import pictures into Label Studio by"
        " path (score.py --send_uncertain writes `path`), or put their paths into `data.path`.",
        "picture elsewhere",
    )


def answers_of(task: Mapping[str, Any], number: str) -> list[Answer]:
    """What people said of a task; those who skipped it are left out.

    Raises:
        TaskError: when the task has no list of annotations, or one of them is damaged.
    """
    annotations = task.get("annotations")
    if not isinstance(annotations, list) or not all(isinstance(a, dict) for a in annotations):
        raise TaskError("`annotations` must be a list of objects.", "annotations")
    return [_answer(a, number) for a in annotations if a.get("was_cancelled") is not True]


def _answer(annotation: Mapping[str, Any], number: str) -> Answer:
    results = annotation.get("result")
    if not isinstance(results, list) or not all(isinstance(item, dict) for item in results):
        raise TaskError("`result` of an annotation must be a list of objects.", "annotations")
    choices: set[str] = set()
    for item in results:
        if item.get("type") != "choices":  # Boxes, say, which say where and not whether.
            continue
        value = item.get("value")
        chosen = value.get("choices") if isinstance(value, dict) else None
        if not isinstance(chosen, list) or not all(isinstance(name, str) for name in chosen):
            raise TaskError("`choices` of a result must be a list of names.", "annotations")
        choices.update(chosen)
    times = [annotation.get(key) for key in ("updated_at", "created_at")]
    time = next((text for text in times if isinstance(text, str)), "")
    return Answer(_annotator(annotation.get("completed_by")), time, number, frozenset(choices))


def _annotator(user: Any) -> str:
    if isinstance(user, dict):
        user = user.get("email") or user.get("id")
    name = identifier(user)
    return "unknown" if name is None else str(name)

"""One annotation file of PASCAL VOC: the objects of an image, from XML of which nothing is run."""

import dataclasses
import math
import os
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat


@dataclasses.dataclass(frozen=True)
class VOCObject:
    """An annotated object.

    Attributes:
        name: its class.
        is_difficult: whether the file marks it as hard to recognise.
        box: x, y, width, height in pixels from 0, where the file counts from 1.
    """

    name: str
    is_difficult: bool
    box: tuple[float, float, float, float]


class BadAnnotationError(Exception):
    """Why an annotation file cannot be used, and where: a line, an object, or None."""

    def __init__(self, place: int | str | None, reason: str):
        super().__init__(reason)
        self.place = place


def read_annotation(path: str | os.PathLike) -> list[VOCObject]:
    """The objects of an annotation file, in its order.

    Raises:
        BadAnnotationError: the file is missing, is no XML of that kind, declares a document type
            or entities, or has an object without name or box.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have.
        reason = getattr(error, "strerror", None) or error
        raise BadAnnotationError(None, f"cannot be read ({reason}).") from error
    root = _parse(data)
    if root.tag != "annotation":
        reason = f"expected an <annotation>, got a <{root.tag[:40]}>."
        raise BadAnnotationError(None, reason)
    return [_object(found, number) for number, found in enumerate(root.findall("object"), 1)]


def _parse(data: bytes) -> Element:
    builder, parser = TreeBuilder(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    except expat.ExpatError as error:
        reason = f"not valid XML ({expat.errors.messages.get(error.code, error)})."
        raise BadAnnotationError(error.lineno, reason) from error
    except (LookupError, ValueError) as error:  # An encoding that is unknown, or not the file's.
        raise BadAnnotationError(None, f"not valid XML ({error}).") from error


def _refuse(name, system_id, public_id, has_internal_subset):
    # Entities are declared there: a few lines of them can name files or expand to gigabytes.
    reason = "it declares a document type (<!DOCTYPE>), which annotations have none of; remove it."
    raise BadAnnotationError(None, reason)


def _object(found: Element, number: int) -> VOCObject:
    name = (found.findtext("name") or "").strip()
    if not name:
        raise BadAnnotationError(f"object {number}", "it has no <name>.")
    difficult = (found.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        reason = f"<difficult> must be 0 or 1, got {difficult[:40]!r}."
        raise BadAnnotationError(f"object {number}", reason)
    texts = [found.findtext(f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
    left, top, right, bottom = map(_number, texts)
    # Written so that NaN, which compares false, is caught too.
    if not (left <= right and top <= bottom):
        reason = f"<bndbox> must hold xmin <= xmax and ymin <= ymax, numbers, got {texts}."
        raise BadAnnotationError(f"object {number}", reason)
    return VOCObject(
        name, difficult == "1", (left - 1, top - 1, right - left + 1, bottom - top + 1)
    )


def _number(text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan

"""The objects of PASCAL VOC's annotation files, and the labels that follow from them."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vac_tf.datasets.readers.voc.annotation import BadAnnotationError, VOCObject, read_annotation
from vac_tf.datasets.readers.voc.class_files import LISTS
from vac_tf.datasets.split import DatasetError, ObjectAnnotation, RejectedRow, report_bad_row


class Annotations:
    """The annotation files of a set, each read once; a bad one of the split is reported once.

    Args:
        folder: of the set.
        rejected: None to raise on the first bad annotation, or a list that takes them.
    """

    def __init__(self, folder: Path, rejected: list[RejectedRow] | None):
        self._folder, self._rejected = folder, rejected
        self._read: dict[str, list[VOCObject] | BadAnnotationError] = {}
        self._reported: set[str] = set()

    def class_names(self) -> tuple[str, ...]:
        """The classes of all annotations that can be read, of whichever split, sorted.

        Raises:
            DatasetError: there is none.
        """
        names = sorted(path.stem for path in (self._folder / "Annotations").glob("*.xml"))
        found = (self._objects(name) for name in names)
        lists = (objects for objects in found if not isinstance(objects, BadAnnotationError))
        classes = sorted({item.name for objects in lists for item in objects})
        if not classes:
            raise DatasetError(
                f"{self._folder} names no class: there are no files {LISTS}/CLASS_SPLIT.txt of the"
                " split, and there is no object in Annotations/*.xml."
            )
        return tuple(classes)

    def labels(self, names: Sequence[str], classes: tuple[str, ...]) -> tuple[np.ndarray, set[str]]:
        """As `labels_of_class_files`, from the objects."""
        objects, bad = self.objects(names, classes)
        labels = np.zeros((len(names), len(classes)), np.float32)
        for row, found in enumerate(objects):
            labels[row, [item.category for item in found if item.is_crowd]] = np.nan
            labels[row, [item.category for item in found if not item.is_crowd]] = 1
        return labels, bad

    def objects(
        self, names: Sequence[str], classes: tuple[str, ...]
    ) -> tuple[list[tuple[ObjectAnnotation, ...]], set[str]]:
        """The objects of each image, and the images whose annotation is bad."""
        categories = {name: category for category, name in enumerate(classes)}
        found, bad = [], set()
        for name in names:
            objects = self._objects(name)
            if not isinstance(objects, BadAnnotationError):
                objects = _with_categories(objects, categories)
            if isinstance(objects, BadAnnotationError):
                self._report(name, objects)
                bad.add(name)
                objects = ()
            found.append(objects)
        return found, bad

    def _path(self, name):
        return os.path.join(self._folder, "Annotations", f"{name}.xml")

    def _objects(self, name):
        if name not in self._read:
            try:
                self._read[name] = read_annotation(self._path(name))
            except BadAnnotationError as error:
                self._read[name] = error
        return self._read[name]

    def _report(self, name, error):
        if name not in self._reported:
            self._reported.add(name)
            report_bad_row(self._rejected, self._path(name), error.place, str(error))


def _with_categories(
    objects: list[VOCObject], categories: dict[str, int]
) -> tuple[ObjectAnnotation, ...] | BadAnnotationError:
    annotations = []
    for number, item in enumerate(objects, 1):
        if item.name not in categories:
            reason = f"class {item.name!r} has no class file in {LISTS}."
            return BadAnnotationError(f"object {number}", reason)
        area = item.box[2] * item.box[3]
        annotations.append(
            ObjectAnnotation(categories[item.name], item.box, None, item.is_difficult, area)
        )
    return tuple(annotations)

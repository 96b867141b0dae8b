"""What the small members of a WebDataset's sample say of its labels."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vac_tf.datasets.readers.shards.tar_samples import Sample


class BadSampleError(Exception):
    """Why a sample cannot be used."""


def labels_of(sample: Sample, class_names: Sequence[str] | None) -> dict[str, Any]:
    """Labels as an object of JSON Lines has them: `labels`, perhaps `unknown`, `box` and others.

    Taken are `key.json` where it has `labels`, else `key.labels.txt`, a name a line, else
    `key.cls`, the number of the class in `class_names` or its name. Other keys of `key.json` stay.

    Args:
        sample: with its members.
        class_names: of `labels.txt`, which numbers of classes count from 0; None: the numbers
            themselves are the names.

    Raises:
        BadSampleError: there are none, or they are damaged.
    """
    if sample.fault:
        raise BadSampleError(sample.fault)
    given = _json(sample)
    if "labels" in given:
        return given
    if "labels.txt" in sample.labels:
        lines = _text(sample, "labels.txt").splitlines()
        return {**given, "labels": [line.strip() for line in lines if line.strip()]}
    if "cls" in sample.labels:
        return {**given, "labels": [_class_name(_text(sample, "cls").strip(), class_names)]}
    raise BadSampleError(
        f"it has no label: expected {sample.key}.json with `labels`, {sample.key}.labels.txt or"
        f" {sample.key}.cls."
    )


def _json(sample: Sample) -> Mapping[str, Any]:
    if "json" not in sample.labels:
        return {}
    try:
        given = json.loads(_text(sample, "json"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadSampleError(f"{sample.key}.json is not valid JSON ({error}).") from error
    if not isinstance(given, dict):
        raise BadSampleError(f"{sample.key}.json must hold an object.")
    return given


def _text(sample: Sample, suffix: str) -> str:
    try:
        return sample.labels[suffix].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadSampleError(f"{sample.key}.{suffix} is not UTF-8 text.") from error


def _class_name(text: str, class_names: Sequence[str] | None) -> str:
    if not text:
        raise BadSampleError("its .cls is empty.")
    if class_names is None or not (text.isascii() and text.isdecimal()):
        return text
    if len(text) > 9 or int(text) >= len(class_names):
        raise BadSampleError(f"class {text[:20]} is none of the {len(class_names)} of labels.txt.")
    return class_names[int(text)]

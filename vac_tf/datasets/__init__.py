"""Datasets on disk, in their official formats, as `Split`s. Needs no TensorFlow."""

import inspect
import os
from collections.abc import Callable
from typing import Any

from vac_tf.configs.classification import DATASETS
from vac_tf.configs.fields import GIVEN
from vac_tf.configs.registration import add_name
from vac_tf.datasets.readers.coco import read_coco
from vac_tf.datasets.readers.folder import read_folder
from vac_tf.datasets.readers.hugging_face.reader import read_hugging_face
from vac_tf.datasets.readers.jsonl import read_jsonl
from vac_tf.datasets.readers.label_studio.reader import read_label_studio
from vac_tf.datasets.readers.open_images.reader import read_open_images
from vac_tf.datasets.readers.pedestrians.pa100k import read_pa100k
from vac_tf.datasets.readers.pedestrians.peta import read_peta
from vac_tf.datasets.readers.pedestrians.rap import read_rap
from vac_tf.datasets.readers.shards.reader import read_webdataset
from vac_tf.datasets.readers.table import read_table
from vac_tf.datasets.readers.voc.reader import read_voc
from vac_tf.datasets.readers.wider import read_wider
from vac_tf.datasets.scenes.reader import read_scenes
from vac_tf.datasets.split import DatasetError, RejectedRow, Split, UnknownSplitError

__all__ = ["DatasetError", "RejectedRow", "Split", "UnknownSplitError", "read_split"]
__all__ += ["register_dataset"]

_SCENES = ("image_size", "train_images", "seed", "with_objects")
_TABLE = ("label_separator", "label_columns", "ignore_columns", "repeated_images", "keep_missing")
_TABLE += ("group_column", "soft_labels", "weight_column")
_HUGGING_FACE = ("keep_missing", "label_columns", "ignore_columns", "group_column")
# Name -> its reader, and the options that this has; callers may give all of them for any dataset.
_READERS = {
    "scenes": (read_scenes, _SCENES),
    "coco": (read_coco, ("with_objects", "keep_missing")),
    "voc": (read_voc, ("with_objects", "keep_missing")),
    "open_images": (read_open_images, ("keep_missing", "label_columns")),
    "wider": (read_wider, ("keep_missing",)),
    "pa100k": (read_pa100k, ("keep_missing",)),
    "peta": (read_peta, ("label_columns", "group_column")),
    "rap": (read_rap, ("keep_missing", "label_columns", "partition")),
    "table": (read_table, _TABLE),
    "folder": (read_folder, ()),
    "jsonl": (read_jsonl, ("keep_missing", "group_column")),
    "webdataset": (read_webdataset, ("group_column",)),
    "hf": (read_hugging_face, _HUGGING_FACE),
    "label_studio": (read_label_studio, ("keep_missing",)),
}


def register_dataset(
    name: str, reader: Callable[..., Split], *, test_split: str = "test", replace: bool = False
) -> None:
    """Makes a dataset known by a name, for `--dataset` and `read_split`.

    Args:
        name: new.
        reader: `(data_dir, split)` -> `Split`; raises `UnknownSplitError` for a split that is not
            there. Where it has them, it also gets the keyword arguments `rejected`, as
            `read_split` has it, and the options of `read_split`.
        test_split: the split that evaluations report on.
        replace: use this one where the name is taken.

    Raises:
        ValueError: the name is taken, or the reader takes other arguments.
    """
    parameters = list(inspect.signature(reader).parameters)
    options = tuple(option for option in parameters[2:] if option != "rejected")
    known = {option for _, names in _READERS.values() for option in names}
    if len(parameters) < 2 or not set(options) <= known:
        raise ValueError(
            f"The reader of dataset {name!r} takes {parameters}; expected data_dir and split, then"
            f" any of rejected, {', '.join(sorted(known))}."
        )

    def read(data_dir, split, rejected=None, **given):
        if "rejected" in parameters:
            given["rejected"] = rejected
        found = reader(data_dir, split, **given)
        if not isinstance(found, Split):
            raise DatasetError(f"The reader of dataset {name!r} gave {type(found)}, not a Split.")
        return found

    add_name(_READERS, "dataset", name, (read, options), replace)
    DATASETS[name] = test_split


def datasets_with(option: str) -> list[str]:
    """The names of the datasets whose readers have an option of `read_split`."""
    return [name for name, (_, options) in _READERS.items() if option in options]


def read_split(
    name: str,
    data_dir: str | os.PathLike,
    split: str,
    *,
    rejected: list[RejectedRow] | None = None,
    **options: Any,
) -> Split:
    """Reads one split of a dataset.

    Args:
        name: scenes, coco, voc, open_images, wider, pa100k, peta, rap, table, folder, jsonl,
            webdataset, hf, label_studio or a registered name.
        data_dir: folder of the dataset in its official layout (for scenes: where it is cached,
            may be empty).
        split: name of the split; which ones exist depends on the dataset.
        rejected: None to raise on the first bad row, or a list to which a `RejectedRow` is
            appended for every row that is left out.
        **options: `label_separator`, `repeated_images`, `soft_labels`, `weight_column` (table),
            `ignore_columns` (table, hf), `label_columns` (those and open_images, peta, rap),
            `image_size`, `train_images`, `seed` (scenes), `with_objects` (coco, voc, scenes),
            `group_column` (table, jsonl, webdataset, hf, peta), `partition` (rap), `keep_missing`
            (all but scenes, peta, folder and webdataset). Those meant for another are ignored.

    Returns:
        Paths and labels; no image is opened.

    Raises:
        DatasetError: when the dataset is unknown, missing, damaged or inconsistent.
        TypeError: for an option that no dataset has.
    """
    if name == GIVEN:
        raise DatasetError(
            "The data of this run was given in Python, as a tf.data.Dataset: say where to read"
            " images from with --dataset and --data_dir, or use vac_tf.evaluate(model, data)."
        )
    if name not in _READERS:
        raise DatasetError(f"Unknown dataset {name!r}. Known: {', '.join(_READERS)}.")
    known = {option for _, names in _READERS.values() for option in names}
    unknown = sorted(set(options) - known)
    if unknown:
        raise TypeError(f"Unknown options {unknown}. Known: {', '.join(sorted(known))}.")
    reader, own_options = _READERS[name]
    own = {option: value for option, value in options.items() if option in own_options}
    return reader(data_dir, split, rejected=rejected, **own)

"""The folder that Hugging Face's `save_to_disk` wrote: splits, files and features."""

import dataclasses
from pathlib import Path
from typing import Any

from vac_tf.datasets.readers.json_file import read_json_object
from vac_tf.datasets.split import DatasetError, UnknownSplitError

_SPLITS, _STATE, _INFO = "dataset_dict.json", "state.json", "dataset_info.json"
# Of a data set without splits that does not say which one it is.
_ONLY_SPLIT = "train"


@dataclasses.dataclass(frozen=True)
class SavedSplit:
    """One split: its folder, its Arrow files in order, and each column's feature by its name."""

    folder: Path
    files: list[Path]
    features: dict[str, Any]


def find_split(data_dir: Path, split: str) -> SavedSplit:
    """The files of a split.

    Raises:
        DatasetError: there is no such folder, split or file, or a JSON file is damaged.
    """
    if not data_dir.is_dir():
        raise DatasetError(f"There is no folder {data_dir}.")
    if (data_dir / _SPLITS).is_file():
        names = read_json_object(data_dir / _SPLITS, ("splits",))["splits"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DatasetError(f"{data_dir / _SPLITS}: `splits` must be a list of names.")
        _check_known(data_dir, split, names)
        return _read_folder(data_dir / split)
    if not (data_dir / _STATE).is_file():
        raise DatasetError(
            f"There is neither {_SPLITS} nor {_STATE} in {data_dir}. Expected what save_to_disk"
            ' writes; for a name of the Hub: datasets.load_dataset("NAME").save_to_disk("FOLDER").'
        )
    name = read_json_object(data_dir / _STATE, ()).get("_split") or _ONLY_SPLIT
    _check_known(data_dir, split, [name])
    return _read_folder(data_dir)


def _check_known(data_dir: Path, split: str, names: list[str]) -> None:
    if split not in names:
        raise UnknownSplitError(f"Unknown split {split!r} in {data_dir}. Found: {names}.")


def _read_folder(folder: Path) -> SavedSplit:
    state = read_json_object(folder / _STATE, ("_data_files",))
    features = read_json_object(folder / _INFO, ("features",))["features"]
    files = state["_data_files"]
    listed = files if isinstance(files, list) else [None]
    names = [each.get("filename") if isinstance(each, dict) else None for each in listed]
    if not all(map(_is_name, names)):
        raise DatasetError(f"{folder / _STATE}: `_data_files` must be a list of file names.")
    if state.get("_indices_data_files"):
        raise DatasetError(
            f"{folder / _STATE}: its rows are in the order of other files, as old releases wrote"
            " it. Load and save it once more."
        )
    if not isinstance(features, dict):
        raise DatasetError(f"{folder / _INFO}: `features` must be an object.")
    return SavedSplit(folder, [folder / name for name in names], features)


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and Path(name).name == name and name.endswith(".arrow")

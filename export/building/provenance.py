"""What a bundle may tell of its run: everything but where it lay on somebody's disk."""

from typing import Any

# Places of one host, of no use to another.
_PLACES = ("run_dir", "data_dir", "cache_dir", "imports")
# Sentences that name runs by their folders.
_UNPUBLISHED = ("learnt_before",)
# May be paths, whose last component says which run, weights or split it was.
_SOURCES = ("backbone", "branch_backbone")
_SOURCES += ("backbone_weights", "saliency_run", "trunk_run", "branch_run")
_SOURCES += ("init_run", "teacher", "group_file", "label_groups")
_SOURCES += ("train_split", "validation_split", "split")


def without_paths(value: Any, name: str = "") -> Any:
    """A copy of plain values (of JSON) without paths of the host.

    `run_dir`, `data_dir`, `cache_dir` and `imports` become empty; runs, weights, files and splits
    keep the last component of their path. Other texts stay: a label may begin with a slash.

    Args:
        value: Texts, numbers, lists and dicts.
        name: The key under which it lies.
    """
    if isinstance(value, dict):
        kept = {key: entry for key, entry in value.items() if key not in _UNPUBLISHED}
        return {key: without_paths(entry, key) for key, entry in kept.items()}
    if isinstance(value, list):
        return [without_paths(entry) for entry in value]
    if name in _PLACES:
        return ""
    if name in _SOURCES and isinstance(value, str):
        return value.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return value

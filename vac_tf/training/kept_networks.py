"""The networks that a run keeps, and whether they are still what it kept."""

import hashlib
import os
import zipfile

from vac_tf.runs.folder import RunFolder, write_atomically
from vac_tf.runs.progress import read_progress


def record_network(folder: RunFolder, name: str, progress: dict) -> None:
    """Notes the hash of the network `name`, which was just saved, in the progress of the run."""
    progress.setdefault("networks", {})[name] = _digest(folder.file(name))


def copy_network(folder: RunFolder, source: str, name: str) -> None:
    """Makes `name` the same network as `source`, byte for byte."""
    with open(folder.file(source), "rb") as stream:
        write_atomically(folder.file(name), stream.read())


def check_networks(folder: RunFolder, progress: dict, is_pending: bool = False) -> None:
    """Checks that every network of the run is the one that it kept; restores it where it can.

    The network of the run and the best of its kind of weights are the same file twice, so that
    either restores the other.

    Args:
        folder: of the run.
        progress: of the run; what has no hash in it (older versions) must at least be whole.
        is_pending: a validation was under way, so that a network may be newer than the progress.

    Raises:
        ValueError: a network is lost, and no copy of it is there.
    """
    recorded = progress.get("networks", {})
    for name in _expected(progress):
        if _is_kept(folder.file(name), None if is_pending else recorded.get(name)):
            continue
        twins = [
            twin
            for twin, digest in recorded.items()
            if twin != name and digest == recorded.get(name) and _is_kept(folder.file(twin), digest)
        ]
        if not twins:
            raise ValueError(
                f"{folder.file(name)!r} is missing, damaged or not the network that the run kept"
                f" (the best one is that of epoch {progress['best_epoch']}), and there is no copy"
                " of it to restore it from. Put the file back, or train again in another --run_dir."
            )
        copy_network(folder, twins[0], name)


def check_finished_run(folder: RunFolder) -> None:
    """`check_networks` for a run that will not be trained any more; its state may be gone."""
    try:
        progress = read_progress(folder.state_file)
    except FileNotFoundError:
        progress = {"best": {"raw": 0.0}, "best_epoch": folder.read_json("selection.json")["epoch"]}
    check_networks(folder, progress)


def _expected(progress):
    if not progress["best"]:
        return []
    kinds = [f"network_{kind}.keras" for kind in progress["best"]]
    return ["network.keras", *(name for name in kinds if name in progress.get("networks", {}))]


def _is_kept(path, digest):
    if not os.path.isfile(path):
        return False
    if digest:
        return _digest(path) == digest
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _digest(path):
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

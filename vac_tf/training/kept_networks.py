"""The networks that a run keeps: which are the best, and whether they are still what it kept."""

import dataclasses
import hashlib
import os
import zipfile
from collections.abc import Callable

import tensorflow as tf

from vac_tf.models.saving import save_network
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.runs.folder import RunFolder
from vac_tf.runs.states import newest_whole_state
from vac_tf.training.weight_average import averaged_weights

# The moving statistics of training remember about as many (momentum 0.99: 100 passes).
_STATISTICS_BATCHES = 64


@dataclasses.dataclass(frozen=True)
class Selection:
    """What selects the best network of a run.

    Attributes:
        metric: Name of its log entry; that of the averaged weights is followed by `_ema`.
        score: Called with "raw" and, with the averages in the network, "ema"; returns the metric,
            or raises DivergenceError.
        selected_on: In words.
        higher_is_better: Whether a larger metric is a better one.
    """

    metric: str
    score: Callable[[str], float]
    selected_on: str
    higher_is_better: bool = True


def keep_best(
    config,
    folder: RunFolder,
    trainer,
    progress: dict,
    selection: Selection,
    batches: tf.data.Dataset,
) -> dict[str, float]:
    """Scores the weights and, where the run keeps one, their average; keeps the best networks.

    Nothing is kept before all is scored: when a training diverges, the networks stay those of its
    last good state.

    Args:
        config: has `ema_decay`.
        folder: of the run.
        trainer: the weights are those of its network.
        progress: of the run; gets the best scores, the winner and the hashes of the networks.
        selection: how the weights are scored.
        batches: training batches, the first of which give the average its batch statistics.

    Returns:
        The log entries.
    """
    sign = 1 if selection.higher_is_better else -1
    earlier_best = max(progress["best"].values(), default=-float("inf"))
    values = {"raw": selection.score("raw")}

    def keep(kind):
        scores = {name: sign * value for name, value in values.items()}
        winner = max(scores, key=scores.get)  # The first of equal ones: the raw weights.
        is_best = kind == winner and scores[kind] > earlier_best
        _save_best(config, folder, trainer.network, progress, kind, scores[kind], is_best)
        if is_best:
            selected = {"weights": kind, "epoch": progress["epoch"] + 1}
            selected |= {selection.metric: values[kind], "selected_on": selection.selected_on}
            folder.write_json("selection.json", selected)

    if config.ema_decay:
        with averaged_weights(trainer, batches.take(_STATISTICS_BATCHES)):
            values["ema"] = selection.score("ema")
            keep("ema")
    keep("raw")
    names = {"raw": selection.metric, "ema": f"{selection.metric}_ema"}
    return {names[kind]: value for kind, value in values.items()}


def _save_best(config, folder, network, progress, kind, score, is_best):
    """Saves a network as that of the run, where it `is_best`, and as the best of its kind."""
    if is_best:
        save_network(network, folder.network_file)
        _record(folder, "network.keras", progress)
        progress["winner"], progress["best_epoch"] = kind, progress["epoch"] + 1
    if score <= progress["best"].get(kind, -float("inf")):
        return
    progress["best"][kind] = score
    if not config.ema_decay:
        return
    name = f"network_{kind}.keras"
    if is_best:
        _copy(folder, "network.keras", name)
    else:
        save_network(network, folder.file(name))
    _record(folder, name, progress)


def _record(folder, name, progress):
    """Notes the hash of the network `name`, which was just saved, in the progress of the run."""
    progress.setdefault("networks", {})[name] = _digest(folder.file(name))


def _copy(folder, source, name):
    """Makes `name` the same network as `source`, byte for byte."""
    with open(folder.file(source), "rb") as stream:
        write_atomically(folder.file(name), stream.read())


def keep_epoch_network(folder: RunFolder, network, epoch: int) -> None:
    """Keeps the network (its raw weights) at the end of an epoch, numbered from 1."""
    path = folder.epoch_network_file(epoch)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    save_network(network, path)


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
        is_kept = _is_kept(folder.file(name), None if is_pending else recorded.get(name))
        if not is_kept and not _restore_from_twin(folder, recorded, name):
            raise ValueError(
                f"{folder.file(name)!r} is missing, damaged or not the network that the run kept"
                f" (the best one is that of epoch {progress['best_epoch']}), and there is no copy"
                " of it to restore it from. Put the file back, or train again in another --run_dir."
            )


def forget_replaced_networks(folder: RunFolder, progress: dict) -> None:
    """Takes networks out of the progress that epochs after it, which are lost, have replaced.

    The next one is kept in their place whatever its score: their own is that of no file.

    Args:
        folder: of the run.
        progress: of an earlier state than that of the last validation.
    """
    recorded = progress.get("networks", {})
    for name, digest in list(recorded.items()):
        if _is_kept(folder.file(name), digest) or _restore_from_twin(folder, recorded, name):
            continue
        del recorded[name]
        if name == "network.keras":
            progress["best"].clear()
        else:
            progress["best"].pop(name.removeprefix("network_").removesuffix(".keras"), None)


def _restore_from_twin(folder, recorded, name):
    """Whether there is a whole network of the same contents, which then is `name` too."""
    for twin, digest in recorded.items():
        is_same = twin != name and digest == recorded.get(name)
        if is_same and _is_kept(folder.file(twin), digest):
            _copy(folder, twin, name)
            return True
    return False


def check_finished_run(folder: RunFolder) -> None:
    """`check_networks` for a run that will not be trained any more; its state may be gone."""
    state = newest_whole_state(folder.state_file)
    if state:
        check_networks(folder, state.progress, is_pending=state.path != folder.state_file)
    else:
        epoch = folder.read_json("selection.json")["epoch"]
        check_networks(folder, {"best": {"raw": 0.0}, "best_epoch": epoch})


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

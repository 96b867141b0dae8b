"""The folder of one training run: its files, written atomically, and the config it belongs to."""

import contextlib
import dataclasses
import glob
import json
import os
import tempfile
from collections.abc import Collection, Iterator

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.extensions import missing_extensions
from vac_tf.configs.label_groups.group import LabelGroup, groups_from_json
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.runs.changed_settings import (
    SETTINGS_AGAINST_DIVERGENCE,
    changed_settings,
    check_changes,
    with_younger_settings,
)
from vac_tf.runs.json_reading import read_json_file
from vac_tf.runs.lock import lock_run, refuse_if_locked
from vac_tf.runs.states import newest_whole_state, states_beside

_EPOCHS = "epochs"
_PARTIAL_FILES = ("*.partial.keras", f"{_EPOCHS}/*.partial.keras", "last/*.partial")
# Of the files that a training writes atomically: an evaluation may be writing others.
_WRITTEN = ("config.json", "labels.json", "selection.json", "diverged.json", "phases.json")
_WRITTEN += ("teacher.json",)
_PARTIAL_FILES += tuple(f"{name}.*.partial" for name in (*_WRITTEN, "log.csv", "network*.keras"))


class RunFolder:
    """Paths and small files of a run folder."""

    def __init__(self, path: str):
        self.path = path

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    @property
    def network_file(self) -> str:
        return self.file("network.keras")

    def epoch_network_file(self, epoch: int) -> str:
        """The network at the end of an epoch (from 1), of a run with `keep_epoch_networks`."""
        return self.file(os.path.join(_EPOCHS, f"{epoch:04d}.keras"))

    def kept_epochs(self) -> list[int]:
        """The epochs whose networks the run has kept, in rising order."""
        names = glob.glob(os.path.join(glob.escape(self.file(_EPOCHS)), "*.keras"))
        stems = (os.path.basename(name).removesuffix(".keras") for name in names)
        return sorted(int(stem) for stem in stems if stem.isdecimal())

    @property
    def state_file(self) -> str:
        """Everything that a resume needs; beside it are earlier ones (`vac_tf.runs.states`)."""
        return self.file(os.path.join("last", "state.npz"))

    def has_state(self) -> bool:
        """Whether the run has been saved at any point, whole or not."""
        return bool(states_beside(self.state_file))

    def progress(self) -> dict | None:
        """How far the run is, by its newest whole state; None before it has one.

        Raises:
            NoWholeStateError: all of them are damaged.
        """
        newest = newest_whole_state(self.state_file)
        return newest and newest.progress

    @property
    def divergence_file(self) -> str:
        """There from a divergence on until an epoch ends well."""
        return self.file("diverged.json")

    def check(self, config, may_differ: Collection[str] = ()) -> None:
        """Checks that a run of `config` may be trained in this folder, as far as it exists.

        Settings that change no result may differ from those that the run began with; so may the
        learning rate and the clipping after a divergence. A finished run may have more epochs; one
        that stopped early may wait longer for a better network.

        Args:
            config: of the run.
            may_differ: further settings that may.

        Raises:
            ValueError: listing every difference, if the folder holds another config's run; or
                another process trains in it.
        """
        if not config.run_dir:
            raise ValueError("run_dir is needed: the folder that the run is written to.")
        refuse_if_locked(self.path)
        self._check_config(config, may_differ)

    @contextlib.contextmanager
    def claimed(self, config, may_differ: Collection[str] = ()) -> Iterator[None]:
        """Claims the folder for a run of `config` and keeps other processes away meanwhile.

        Raises:
            ValueError: the folder cannot be written, belongs to another config, or another process
                trains in it.
        """
        self.check(config, may_differ)
        self._make()
        with lock_run(self.path):
            self.claim(config, may_differ)
            # Whoever wrote them is dead, or the lock would be held.
            for pattern in _PARTIAL_FILES:
                for path in glob.glob(os.path.join(glob.escape(self.path), pattern)):
                    os.remove(path)
            yield

    def claim(self, config, may_differ: Collection[str] = ()) -> None:
        """Makes the folder for a run of `config`, or checks that it holds that very run.

        Raises:
            ValueError: the folder cannot be written, or belongs to another config.
        """
        has_changed = self._check_config(config, may_differ)
        self._make()
        if has_changed or not os.path.exists(self.file("config.json")):
            self.write_json("config.json", dataclasses.asdict(config))

    def _check_config(self, config, may_differ):
        """Whether a setting that decides the result has changed, as it may."""
        if not os.path.exists(self.file("config.json")):
            return False
        wanted = dataclasses.asdict(config)
        written = with_younger_settings(self.read_json("config.json"), wanted)
        if not changed_settings(written, wanted):
            return False
        may_differ = set(may_differ)
        if os.path.exists(self.divergence_file):
            may_differ |= SETTINGS_AGAINST_DIVERGENCE
        check_changes(self.path, written, wanted, self.progress(), may_differ)
        return True

    def _make(self):
        try:
            os.makedirs(self.path, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise ValueError(
                f"Run folder {self.path!r} cannot be written: {error.strerror}. Choose another"
                " --run_dir."
            ) from error

    def read_config(self, config_class: type = TrainConfig):
        """The config of the run, a `config_class`.

        Raises:
            ValueError: no run here, one written by a version with other settings, or one whose
                modules (`--import`) this process has not imported.
        """
        values = self.read_json("config.json")
        missing = missing_extensions(str(values.get("imports", "")))
        if missing:
            raise ValueError(
                f"The run in {self.path!r} was trained with --import={missing}, which registers"
                " what it uses: give that flag here too (in Python: import it first)."
            )
        known = {field.name for field in dataclasses.fields(config_class)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(
                f"{self.file('config.json')}: unknown settings {unknown}; it was written by another"
                " version or another program of this project."
            )
        try:
            _check_types(values, config_class)
            return config_class(**values)
        except ValueError as error:
            raise ValueError(f"{self.file('config.json')}: {error}") from error

    def read_label_names(self) -> list[str]:
        """The labels of the run, in the order of its outputs; ValueError when they are damaged."""
        names = self.read_json("labels.json").get("label_names")
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return names
        raise ValueError(
            f"{self.file('labels.json')}: label_names must be a list of names, got {names!r}."
            " Restore the file as train.py wrote it."
        )

    def read_label_groups(
        self, label_names: Collection[str] | None = None
    ) -> tuple[LabelGroup, ...]:
        """The labels of the run that exclude each other; ValueError when they are damaged.

        Args:
            label_names: in what order its labels are; None: in that of its outputs.
        """
        names = list(label_names or self.read_label_names())
        try:
            return groups_from_json(self.read_json("labels.json").get("label_groups", []), names)
        except ValueError as error:
            raise ValueError(f"{self.file('labels.json')}: {error}") from error

    def read_json(self, name: str) -> dict:
        """The object in a JSON file of the folder; ValueError when missing or damaged."""
        path = self.file(name)
        try:
            content = read_json_file(path)
        except FileNotFoundError:
            raise ValueError(
                f"No {name} in {self.path!r}. Expected the folder that train.py --run_dir wrote."
            ) from None
        if not isinstance(content, dict):
            raise ValueError(
                f"{path}: expected a JSON object, got {json.dumps(content)[:60]}. Restore the file"
                " as the program wrote it."
            )
        return content

    def write_json(self, name: str, values) -> None:
        text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(self.file(name), text.encode())


def _check_types(values: dict, config_class: type) -> None:
    """Raises ValueError for a setting that is not of the type of its field."""
    for field in dataclasses.fields(config_class):
        value = values.get(field.name, field.default)
        allowed = (int, float) if field.type is float else field.type
        if not isinstance(value, allowed) or (isinstance(value, bool) and field.type is not bool):
            raise ValueError(f"{field.name} must be of type {field.type.__name__}, got {value!r}.")

"""Kills trainings at random moments and starts them again: they must end as unbroken ones.

    python -m experiments.killed_runs

Three trainings of the small network on generated scenes: a classifier with a scaled view, one with
an average of the weights, and a dual-stream network in four phases. Each is made once unbroken.
Then it is made anew and killed with -9, --kills times in all: first at any moment of the first half
of the time that the unbroken one took, then (or if it is killed only once), each time it goes on,
up to 0.3 s after a random one of the steps that are left to it. All variables of the last states
(weights, batch statistics, optimizer, averages, seeds), all weights of the kept networks and the
log must be the same, bit for bit.

Prints a table; exit code 1 when anything differs. Five minutes of processor time, most of them for
importing TensorFlow at every start.
"""

import csv
import dataclasses
import io
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from absl import app, flags

from vac_tf.runs.states import newest_whole_state

FLAGS = flags.FLAGS
_ROOT = Path(__file__).resolve().parent.parent
_IMAGES, _BATCH = 96, 8
_SHARED = (
    f"--scenes_train_images={_IMAGES} --scenes_image_size=32 --image_size=32 --transforms=hflip"
)
_SHARED += f" --batch_size={_BATCH} --checkpoint_seconds=0 --progress_steps=-1"
_TIMINGS = {"seconds", "images_per_second", "data_wait_share"}
# The longest that a start or the wait for a step may take, in seconds.
_PATIENCE = 900.0


@dataclasses.dataclass(frozen=True)
class Training:
    """A kind of training.

    Attributes:
        name: of it.
        settings: its flags, beside those that all have.
        phases: the folders of its runs, inside its own.
    """

    name: str
    settings: str
    phases: tuple[str, ...] = ("",)

    @property
    def steps(self) -> int:
        """All of its training steps."""
        return len(self.phases) * FLAGS.epochs * (_IMAGES // _BATCH)

    def start(self, folder: Path) -> subprocess.Popen:
        """Starts it, or lets it go on, in a folder."""
        command = [sys.executable, "train.py", f"--run_dir={folder}", f"--epochs={FLAGS.epochs}"]
        command += [f"--data_dir={folder.parent / 'scenes'}", *_SHARED.split()]
        log = open(f"{folder}.log", "a", encoding="utf-8")
        with log:
            return subprocess.Popen(
                [*command, *self.settings.split()], cwd=_ROOT, stdout=log, stderr=log
            )

    def finish(self, folder: Path) -> None:
        """Lets it run to its end."""
        if self.start(folder).wait():
            raise RuntimeError(f"The training failed, see its end:\n{_end_of_log(folder)}")

    def done(self, folder: Path) -> int:
        """The steps that its last states have."""
        total = 0
        for phase in self.phases:
            state = newest_whole_state(str(folder / phase / "last" / "state.npz"))
            if state:
                total += state.progress["epoch"] * (_IMAGES // _BATCH) + state.progress["step"]
        return total


_TRAININGS = (
    Training("classifier", "--transforms=hflip,scale:48 --accumulate_steps=2"),
    Training("average of weights", "--ema_decay=0.9 --optimizer=sgd --augment=hflip"),
    Training(
        "dual stream",
        "--model=dual_stream --branch_initialization=backbone_weights",
        ("phase_1a", "phase_1b", "phase_2", "phase_3"),
    ),
)


def kill_again_and_again(
    training: Training, folder: Path, kills: int, seconds: float, chance: random.Random
) -> list[int]:
    """Kills a training so often; the steps of its last state after each kill.

    Args:
        training: the training.
        folder: its own.
        kills: how often.
        seconds: what the unbroken one took.
        chance: draws the moments.
    """
    done: list[int] = []
    for number in range(kills):
        # The last one always waits for a step: so there is a state to go on from.
        is_anywhere = number == 0 and kills > 1
        target = 0 if is_anywhere else _next_target(training, done, kills - number, chance)
        start, process = time.monotonic(), training.start(folder)
        while training.done(folder) < target:
            if process.poll() is not None or time.monotonic() - start > _PATIENCE:
                process.kill()
                raise RuntimeError(f"It did not go on, see its end:\n{_end_of_log(folder)}")
            time.sleep(0.1)
        time.sleep(chance.uniform(0.0, 0.3 if target else seconds / 2))
        process.send_signal(signal.SIGKILL)
        if process.wait() != -signal.SIGKILL:
            raise RuntimeError("It ended before it was killed: give more --epochs.")
        done.append(training.done(folder))
    return done


def _next_target(training, done, kills_left, chance):
    """A step to wait for, after those that are done, which leaves room for the other kills."""
    last = done[-1] if done else 0
    room = (training.steps * 4 // 5 - last) // kills_left
    if room < 1:
        raise RuntimeError(f"No steps are left for {kills_left} kills: give more --epochs.")
    return last + chance.randint(1, room)


def arrays_of(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Every variable of the states in a folder of runs, and every weight of their networks."""
    for path in sorted(folder.rglob("state.npz")):
        with np.load(path) as arrays:
            for name in sorted(set(arrays.files) - {"progress"}):
                yield f"{path.relative_to(folder)}: {name}", arrays[name]
    for path in sorted(folder.rglob("*.keras")):
        with zipfile.ZipFile(path) as archive:
            contents = io.BytesIO(archive.read("model.weights.h5"))
        for name, value in _datasets(contents):
            yield f"{path.relative_to(folder)}: {name}", value


def _datasets(contents):
    found = []

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found.append((name, item[()]))

    with h5py.File(contents) as file:
        file.visititems(visit)
    return found


def log_rows(folder: Path) -> list[dict[str, str]]:
    """The rows of every log in a folder of runs, without what depends on the clock."""
    rows = []
    for path in sorted(folder.rglob("log.csv")):
        with open(path, newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                rows.append({name: row[name] for name in row if name not in _TIMINGS})
    return rows


def differences(first: Path, second: Path) -> tuple[list[str], int]:
    """What differs between two folders of runs, by name; and how many arrays were compared."""
    one, other = dict(arrays_of(first)), dict(arrays_of(second))
    different = sorted(set(one) ^ set(other))
    for name in sorted(set(one) & set(other)):
        if one[name].dtype != other[name].dtype or one[name].tobytes() != other[name].tobytes():
            different.append(name)
    if log_rows(first) != log_rows(second):
        different.append("log.csv")
    return different, len(one)


def _end_of_log(folder):
    return Path(f"{folder}.log").read_text(encoding="utf-8")[-2000:]


def main(_) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        base, chance, failed = Path(FLAGS.folder or temporary), random.Random(FLAGS.seed), False
        base.mkdir(parents=True, exist_ok=True)
        if any(base.iterdir()):
            raise app.UsageError(f"--folder={base} must be empty: finished runs cannot be killed.")
        print(f"{'training':<20}{'kills':>6}{'arrays':>8}{'differ':>8}  steps in the last state")
        for number, training in enumerate(_TRAININGS):
            kills = len(range(number, FLAGS.kills, len(_TRAININGS)))
            folders = [
                base / f"{training.name.replace(' ', '_')}_{how}" for how in ("whole", "killed")
            ]
            start = time.monotonic()
            training.finish(folders[0])
            seconds = time.monotonic() - start
            done = kill_again_and_again(training, folders[1], kills, seconds, chance)
            training.finish(folders[1])
            different, count = differences(*folders)
            failed = failed or bool(different) or not count
            steps = ", ".join(map(str, done))
            print(
                f"{training.name:<20}{kills:>6}{count:>8}{len(different):>8}"
                f"  {steps} of {training.steps}",
                flush=True,
            )
            for name in different[:10]:
                print(f"  differs: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    flags.DEFINE_integer("kills", 15, "How often trainings are killed, all together.", 3)
    flags.DEFINE_integer("seed", 0, "Of the moments.")
    flags.DEFINE_integer("epochs", 8, "Epochs of each training, or of each of its phases.", 1)
    flags.DEFINE_string("folder", "", "An empty folder that keeps the runs; default: none.")
    app.run(main)

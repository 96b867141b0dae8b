"""How fast images are loaded, without a network, and how many the pipeline takes at most.

    python -m benchmarks.loading --images=photos

Three ways in turn, --rounds times, to batches of --batch_size: threads that resize by Pillow, band
by band, and hand their arrays to the main thread, which stacks them (how it was before decoder
processes); and --processes decoder processes, and one. Each time in a program of its own, as a job
is: what loaded images before leaves memory behind that the C library hands out again, which makes
the threads a third faster than they are. For each: images/s, processor time of all processes for an
image, and what share of a core the main process takes; and the ratios of each round.

Then the ceiling: decoder processes that sleep 6 ms an image, as if each had a core, and write its
pixels, through the scorer's pipeline with a stand-in for the network, and rows of 80 labels to
Parquet. Three minutes.
"""

import collections
import dataclasses
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from absl import app, flags

from benchmarks.loading_ways import STAND_IN_SECONDS, load_by_bands, load_nothing
from benchmarks.photographs import list_photographs
from export.bundle.preprocessing import Preprocessing
from export.files.daemon_threads import DaemonThreadPool
from export.scoring.benchmark.processor_time import thread_times, time_between
from export.scoring.config import ScoringConfig
from export.scoring.decoding.batch_loader import BatchLoader, ring_batches
from export.scoring.decoding.decoder_processes import DecoderProcesses
from export.scoring.decoding.loading import LoadingSettings
from export.scoring.engine.heatmap_rows import HeatmapRows
from export.scoring.engine.job_record import Job
from export.scoring.engine.parts import open_shard
from export.scoring.engine.shard import Shard
from export.scoring.engine.shard_scorer import ShardScorer
from export.scoring.output.rows import Columns
from export.scoring.progress.metrics import job_metrics
from export.scoring.runtime.network_devices import NetworkDevices
from export.scoring.sources.input import ScoringInput

_IMAGES = flags.DEFINE_string("images", None, "Folder of photographs.", required=True)
_COUNT = flags.DEFINE_integer("count", 1024, "Images of a round (the photographs, repeated).")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds; medians are printed.")
_SIZE = flags.DEFINE_integer("image_size", 224, "Height and width of the network's input.")
_BATCH = flags.DEFINE_integer("batch_size", 32, "Images of a batch.")
_PROCESSES = flags.DEFINE_integer("processes", 2, "Decoder processes, and threads.")
_SLEEPERS = flags.DEFINE_list("sleepers", ["16", "32"], "Processes that sleep; empty: none.")
_SLEEPER_COUNT = flags.DEFINE_integer("sleeper_count", 20_000, "Images that they stand for.")
_WAY = flags.DEFINE_enum(
    "way", None, ["threads", "processes", "process"], "Only this one, once, as a line of JSON."
)

_LABELS = tuple(f"label {number}" for number in range(80))
_BUDGET = 2**33


@dataclasses.dataclass(frozen=True)
class Speed:
    """Images a second, and processor seconds of an image: of all processes, of the main one."""

    images_per_second: float
    processor_seconds: float
    main_seconds: float

    @property
    def main_share(self) -> float:
        """Of a core, that the main process takes."""
        return self.main_seconds * self.images_per_second


def settings(load: Callable | None = None) -> LoadingSettings:
    """How images are loaded; by default as score.py does."""
    preprocessing = Preprocessing(_SIZE.value, _SIZE.value)
    return LoadingSettings(preprocessing, **({"load": load} if load else {}))


def measure(work: Callable[[], object], count: int, children: Sequence[int] = ()) -> Speed:
    """The speed of work on a number of images, with the help of other processes."""
    before = thread_times(children)
    start, main_start = time.perf_counter(), time.process_time()
    work()
    seconds, main = time.perf_counter() - start, time.process_time() - main_start
    of_children = time_between(before, thread_times(children)).used if children else 0.0
    return Speed(count / seconds, (main + of_children) / count, main / count)


def threaded_batches(inputs: Sequence[ScoringInput]) -> Iterator[np.ndarray]:
    """Batches from threads, two of them ahead, stacked by the caller's thread."""
    pool, values = DaemonThreadPool(_PROCESSES.value), iter(inputs)
    images = np.zeros((_BATCH.value, _SIZE.value, _SIZE.value, 3), np.float32)
    ahead = itertools.islice(values, 2 * _BATCH.value)
    waiting = collections.deque(pool.submit(load_by_bands, v, settings(), None) for v in ahead)
    while waiting:
        for slot in range(min(_BATCH.value, len(waiting))):
            images[slot] = waiting.popleft().result().view.values
            for value in itertools.islice(values, 1):
                waiting.append(pool.submit(load_by_bands, value, settings(), None))
        yield images
    pool.shutdown()


def start_processes(count: int, load: Callable | None = None) -> DecoderProcesses:
    """Decoder processes with a ring as score.py's."""
    ring = ring_batches(count, _BATCH.value, DecoderProcesses.piece_size)
    shape = (ring, _BATCH.value, _SIZE.value, _SIZE.value, 3)
    return DecoderProcesses(count, settings(load), shape, "float32", _BUDGET)


def slots(inputs: Sequence[ScoringInput]) -> Iterator[list[tuple[int, ScoringInput]]]:
    """Inputs by batch, with their slots."""
    for first in range(0, len(inputs), _BATCH.value):
        yield list(enumerate(inputs[first : first + _BATCH.value]))


def measure_way(inputs: Sequence[ScoringInput], way: str) -> Speed:
    """The speed of one way in this process."""
    if way == "threads":
        return measure(lambda: collections.deque(threaded_batches(inputs), maxlen=0), len(inputs))
    return measure_processes(inputs, _PROCESSES.value if way == "processes" else 1)


def measure_in_new_process(way: str) -> Speed:
    """The speed of one way in a program that has loaded nothing before."""
    command = [sys.executable, "-m", "benchmarks.loading", *sys.argv[1:], f"--way={way}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Speed(**json.loads(done.stdout))


def measure_processes(inputs: Sequence[ScoringInput], count: int) -> Speed:
    """The speed of a number of decoder processes, once they have started."""
    processes = start_processes(count)
    try:
        batches = BatchLoader(processes).load(slots(inputs))
        return measure(lambda: list(batches), len(inputs), processes.process_numbers)
    finally:
        processes.close()


def largest_difference(inputs: Sequence[ScoringInput]) -> float:
    """Between the pixels of both ways, in grey levels."""
    processes = start_processes(1)
    try:
        new = (batch.images for batch in BatchLoader(processes).load(slots(inputs)))
        return max(
            float(np.abs(a - b).max()) for a, b in zip(new, threaded_batches(inputs), strict=True)
        )
    finally:
        processes.close()


class StandInNetwork:
    """Gives the same probabilities, some above the threshold, for any images, at once."""

    def __init__(self):
        values = np.random.default_rng(0).uniform(0, 0.52, (_BATCH.value, len(_LABELS)))
        self._probabilities = values.astype(np.float32)

    def lock_pages(self, images: np.ndarray) -> None:
        """Nothing to do."""

    def input_buffers(self, slots: int, count: int) -> list["StandInNetwork"]:
        """Itself, which keeps nothing."""
        return [self] * count

    def upload(self, images: np.ndarray) -> None:
        """Reads a pixel of each image: whoever has not written it is found out."""
        if not images[:, 0, 0, 0].all():
            raise RuntimeError("A slot without an image.")

    def run(self, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """The outputs by name."""
        return dict.fromkeys(outputs, self._probabilities)


def measure_ceiling(count: int, images: int) -> Speed:
    """What the pipeline takes from a number of processes that sleep."""
    images = images // _BATCH.value * _BATCH.value
    config = ScoringConfig("m", "i", output="o.parquet", batch_size=_BATCH.value)
    facts = {"model_sha256": "", "label_names_sha256": "", "provider": ""}
    settings = {"format": ".parquet", "thresholds": [0.5] * len(_LABELS), **facts}
    job = Job(settings, Columns(_LABELS), images)
    heatmaps = HeatmapRows(config, _LABELS, "", job.thresholds)
    scorer = ShardScorer(config, NetworkDevices({"stand-in": StandInNetwork()}), job, heatmaps)
    inputs = (ScoringInput(f"photos/{number:08}.jpg", "") for number in range(images))
    processes = start_processes(count, load_nothing)
    try:
        with (
            tempfile.TemporaryDirectory() as place,
            open_shard(os.path.join(place, "scores.parquet"), Shard()) as folder,
            job_metrics(config, images, Counter(), {}) as metrics,
        ):
            folder.begin(job)
            loader, rows = BatchLoader(processes), range(images)
            return measure(
                lambda: scorer.write_parts(folder, rows, inputs, loader, [], metrics),
                images,
                processes.process_numbers,
            )
    finally:
        processes.close()


def median(speeds: Sequence[Speed], name: str) -> float:
    """Of one attribute."""
    return float(np.median([getattr(speed, name) for speed in speeds]))


def main(_) -> None:
    with tempfile.NamedTemporaryFile() as file:
        paths = list_photographs(_IMAGES.value, _COUNT.value, file.name)
    inputs = [ScoringInput(path, path) for path in paths]
    if _WAY.value:
        print(json.dumps(dataclasses.asdict(measure_way(inputs, _WAY.value))))
        return
    print(f"pixels differ by at most {largest_difference(inputs[:128]):.1e} grey levels")
    count, speeds = _PROCESSES.value, {"threads": [], "processes": [], "process": []}
    for _ in range(_ROUNDS.value):
        for way, found in speeds.items():
            found.append(measure_in_new_process(way))
    names = {
        "threads": f"{count} threads, Pillow band by band",
        "processes": f"{count} processes, one pass",
        "process": "1 process, one pass",
    }
    print("| way | images/s | CPU ms an image | main process, share of a core |")
    print("|---|---|---|---|")
    for way, found in speeds.items():
        values = [median(found, field.name) for field in dataclasses.fields(Speed)]
        share = 100 * median(found, "main_share")
        print(f"| {names[way]} | {values[0]:.0f} | {1e3 * values[1]:.2f} | {share:.1f} % |")
    threads, many, one = (np.array([s.images_per_second for s in v]) for v in speeds.values())
    print(f"{count} processes of {count} threads: {_ratios(many / threads)} times the speed")
    print(f"{count} processes of 1: {_ratios(many / one)} times the speed")
    threads, many, one = (np.array([s.processor_seconds for s in v]) for v in speeds.values())
    # What other programs on the cores change least.
    text = f"{count} processes of {count} threads: {_ratios(many / threads)} times the CPU time"
    print(text, flush=True)
    print_ceilings()


def print_ceilings() -> None:
    """Prints what the pipeline takes from processes that sleep."""
    for text in filter(None, _SLEEPERS.value):
        ceiling = [
            measure_ceiling(int(text), _SLEEPER_COUNT.value) for _ in range(min(3, _ROUNDS.value))
        ]
        print(
            f"{text} processes that sleep {1e3 * STAND_IN_SECONDS:g} ms:"
            f" {median(ceiling, 'images_per_second'):.0f} images/s of"
            f" {int(text) / STAND_IN_SECONDS:.0f}; main process"
            f" {100 * median(ceiling, 'main_share'):.0f} % of a core,"
            f" {1e3 * median(ceiling, 'processor_seconds'):.2f} CPU ms an image in all",
            flush=True,
        )


def _ratios(values: np.ndarray) -> str:
    return f"{np.median(values):.2f} (rounds {values.min():.2f} to {values.max():.2f})"


if __name__ == "__main__":
    app.run(main)

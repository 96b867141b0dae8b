"""How near scoring from files comes to the sum of its parts, on all cores of this host.

    python -m benchmarks.end_to_end --images=photos --work_dir=/tmp/benchmark

Times, in turn and several times over: the network alone on images that are in memory; reading,
decoding, cropping, resizing and stacking alone; and whole jobs of `score.py` from files to Parquet.
Prints the wall time of the jobs over the sum of the two: at most 1.08 is the goal. With --devices
also jobs on several devices, in turn with those on one, which must give the same bytes. The first
call exports the network (ResNet-50, about a minute); then four minutes on two cores of 2026.
"""

import dataclasses
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
from absl import app, flags

from benchmarks.exported_network import export_network
from benchmarks.photographs import list_photographs
from export.bundle.model_file import hash_file
from export.bundle.preprocessing import Preprocessing
from export.scoring.config import ScoringConfig
from export.scoring.describe import describe_model
from export.scoring.job import score
from export.scoring.runtime.host_limits import available_cores
from export.scoring.sources.image_file import load_input
from export.scoring.sources.input import ScoringInput

_IMAGES = flags.DEFINE_string("images", None, "Folder of photographs.", required=True)
_WORK_DIR = flags.DEFINE_string("work_dir", None, "Keeps the exported network.", required=True)
_BACKBONE = flags.DEFINE_string("backbone", "resnet50", "Backbone of the network.")
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 224, "Height and width of its input.")
_COUNT = flags.DEFINE_integer("count", 2048, "Images in all; photographs are repeated.")
_ROUNDS = flags.DEFINE_integer("rounds", 4, "Into how many rounds they are split.")
_DEVICES = flags.DEFINE_string("devices", "", "As of score.py, for the jobs on several devices.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Images per call of the network.")


@dataclasses.dataclass(frozen=True)
class Round:
    """Seconds of one round; of the processor, the ratio of jobs on several devices to one."""

    network: float
    loading: float
    job: float
    job_on_devices: float
    processor_ratio: float

    @property
    def ratio(self) -> float:
        """The job over its parts."""
        return self.job / (self.network + self.loading)


def time_network(session: onnxruntime.InferenceSession, images: np.ndarray, calls: int) -> float:
    """Seconds of `calls` calls on `[B, H, W, 3]`, with ONNX Runtime's own settings."""
    start = time.perf_counter()
    for _ in range(calls):
        session.run(["probabilities"], {"images": images})
    return time.perf_counter() - start


def load_batches(paths: list[str], size: int, batch_size: int) -> tuple[float, np.ndarray]:
    """Seconds to load all images on all cores, batch by batch, and the first batch."""
    preprocessing = Preprocessing(size, size)

    def load(path: str) -> np.ndarray:
        return load_input(ScoringInput(path, path), preprocessing)

    start, first = time.perf_counter(), None
    with ThreadPoolExecutor(available_cores()) as pool:
        for row in range(0, len(paths), batch_size):
            batch = np.stack(list(pool.map(load, paths[row : row + batch_size])))
            first = batch if first is None else first
    return time.perf_counter() - start, first


def measure(model: str, paths: list[str], list_file: str) -> Round:
    """One round, each of the three alone."""
    batch_size = _BATCH_SIZE.value
    size = describe_model(model)["input_size"][0]
    loading, batch = load_batches(paths, size, batch_size)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    time_network(session, batch, 1)  # Takes its memory.
    network = time_network(session, batch, len(paths) // batch_size)
    del session
    config = ScoringConfig(
        model=model,
        images=list_file,
        output=os.path.join(_WORK_DIR.value, "scores.parquet"),
        overwrite=True,
        providers="cpu",
        batch_size=batch_size,
    )
    job, sha256, on_devices = time_job(config), hash_file(config.output), (0.0, 0.0)
    if _DEVICES.value:
        on_devices = time_job(dataclasses.replace(config, devices=_DEVICES.value))
        if hash_file(config.output) != sha256:
            raise RuntimeError(f"--devices={_DEVICES.value} gave other bytes.")
    return Round(network, loading, job[0], on_devices[0], on_devices[1] / job[1])


def time_job(config: ScoringConfig) -> tuple[float, float]:
    """Seconds of a job, and those of the processor that this process took (without decoders)."""
    start = time.process_time()
    return score(config).seconds, time.process_time() - start


def main(_) -> None:
    os.makedirs(_WORK_DIR.value, exist_ok=True)
    model, _ = export_network(_WORK_DIR.value, _BACKBONE.value, _IMAGE_SIZE.value)
    # Whole batches: a part of one costs the network as much as a whole one.
    batches = max(_COUNT.value // _ROUNDS.value // _BATCH_SIZE.value, 1)
    count = batches * _BATCH_SIZE.value
    list_file = os.path.join(_WORK_DIR.value, "photographs.txt")
    paths = list_photographs(_IMAGES.value, count, list_file)
    load_batches(paths, _IMAGE_SIZE.value, _BATCH_SIZE.value)  # Fills the cache of the disk.
    rounds = []
    print("round   network s   loading s   job s   job / (network + loading)")
    for number in range(_ROUNDS.value):
        rounds.append(measure(model, paths, list_file))
        r = rounds[-1]
        line = f"{number + 1:>5}{r.network:>12.2f}{r.loading:>12.2f}{r.job:>8.2f}{r.ratio:>12.3f}"
        print(line, flush=True)
    sums = [sum(getattr(r, f.name) for r in rounds) for f in dataclasses.fields(Round)]
    images = count * len(rounds)
    print(
        f"{images} images, {_BACKBONE.value}, {_IMAGE_SIZE.value} px, {available_cores()} cores:"
        f" {images / sums[2]:.1f} images/s; ratio of the sums {Round(*sums).ratio:.3f}, median of"
        f" the rounds {np.median([r.ratio for r in rounds]):.3f}"
    )
    if _DEVICES.value:
        ratios = [r.job_on_devices / r.job for r in rounds]
        print(
            f"--devices={_DEVICES.value}: the same bytes in {np.median(ratios):.3f} times the time"
            f" ({min(ratios):.3f} to {max(ratios):.3f}) and"
            f" {np.median([r.processor_ratio for r in rounds]):.3f} times that of the processor"
        )


if __name__ == "__main__":
    app.run(main)

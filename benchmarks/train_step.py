"""Our training step, and the same step in PyTorch, in turn on the same machine.

    python3.11 -m venv torch-venv && torch-venv/bin/pip install -r requirements-benchmarks.txt
    python -m benchmarks.train_step --torch_python=torch-venv/bin/python

The step of Visual Attention Consistency: four views of every image (`grid`: original, mirrored,
scaled, scaled and mirrored), SGD with momentum and coupled decay. Against PyTorch as one writes it
for speed today (channels-last, autocast), and against the computation of the authors' release.
All start from the same weights and the same batch, which is in memory; the losses of the first
step, which is left out of the speed, show that it is the same step.

Each way is a process of its own. They take turns, each round from another one on; a ratio is the
median over the rounds. Batch 16 takes about ten minutes on two cores of 2026.
"""

import os
import subprocess
import sys
import tempfile

import numpy as np
from absl import app, flags

from benchmarks.told_steps import Stepper, StepSettings

_TORCH_PYTHON = flags.DEFINE_string(
    "torch_python", sys.executable, "Python of an environment of requirements-benchmarks.txt."
)
_PEERS = flags.DEFINE_multi_enum(
    "peer", ["tuned", "released"], ["tuned", "released", "none"], "PyTorch's ways; repeat the flag."
)
_BACKBONE = flags.DEFINE_string(
    "backbone", "resnet50", "PyTorch has resnet50, 101 and 152, and resnet50_v1_5, resnet101_v1_5."
)
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "bfloat16"], "Of the network; the release is float32."
)
_COMPILED = flags.DEFINE_bool("compiled", False, "torch.compile, and XLA for ours.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 16, "Images of a step, in four views each.")
_ACCUMULATE_STEPS = flags.DEFINE_integer(
    "accumulate_steps", 1, "Parts in which our step computes the gradient of its batch."
)
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 224, "Height and width of the images in pixels.")
_SCALED_SIZE = flags.DEFINE_integer("scaled_size", 192, "Those of the scaled view.")
_NUM_LABELS = flags.DEFINE_integer("num_labels", 14, "As many as WIDER Attribute has.")
_STEPS = flags.DEFINE_integer("steps", 2, "Steps of a turn.")
_ROUNDS = flags.DEFINE_integer("rounds", 6, "Turns of each way.")

OURS = "ours"


def check_torch(python: str) -> None:
    """Ends the program unless an interpreter has PyTorch."""
    command = [python, "-c", "import numpy, torch"]
    if not os.path.isfile(python) or subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        print(
            f"PyTorch is missing: {python!r} cannot import torch and numpy. Install"
            " requirements-benchmarks.txt into an environment of its own and name its interpreter"
            " with --torch_python; or --peer=none measures our step alone.",
            file=sys.stderr,
        )
        sys.exit(2)


def start_all(settings: StepSettings, peers: list[str]) -> list[Stepper]:
    """Every way, its first step taken; ours comes first and writes the weights of all."""
    argument = settings.to_argument()
    steppers = [Stepper(OURS, [sys.executable, "-m", "benchmarks.our_step", argument])]
    for peer in peers:
        command = [_TORCH_PYTHON.value, "-m", "benchmarks.pytorch_peer.step", peer, argument]
        steppers.append(Stepper(peer, command))
    return steppers


def take_turns(steppers: list[Stepper], steps: int, rounds: int) -> dict[str, np.ndarray]:
    """Seconds of each turn by way; a turn before them warms up."""
    seconds = {stepper.name: [] for stepper in steppers}
    for turn in range(rounds + 1):
        first = turn % len(steppers)  # What ran before can slow what comes next.
        for stepper in steppers[first:] + steppers[:first]:
            seconds[stepper.name].append(stepper.seconds(steps))
    return {name: np.array(values[1:]) for name, values in seconds.items()}


def report(steppers: list[Stepper], seconds: dict[str, np.ndarray], images: int) -> None:
    """Prints a row per way."""
    print("| | images/s | ours is so many times as fast | first step, s | peak, MiB | first loss |")
    print("|---|---|---|---|---|---|")
    for stepper in steppers:
        mine = seconds[stepper.name]
        ratios = mine / seconds[OURS]
        print(
            f"| {stepper.name} | {np.median(images / mine):.2f} |"
            f" {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f}) |"
            f" {stepper.first['seconds']:.1f} | {stepper.peak:.0f} | {stepper.first['loss']:.4f} |"
        )


def main(_) -> None:
    peers = [peer for peer in _PEERS.value if peer != "none"]
    if peers:
        check_torch(_TORCH_PYTHON.value)
    with tempfile.TemporaryDirectory() as folder:
        settings = StepSettings(
            os.path.join(folder, "start.npz"),
            _BACKBONE.value,
            _PRECISION.value,
            _BATCH_SIZE.value,
            _IMAGE_SIZE.value,
            _SCALED_SIZE.value,
            _NUM_LABELS.value,
            _COMPILED.value,
            _ACCUMULATE_STEPS.value,
        )
        steppers = start_all(settings, peers)
        seconds = take_turns(steppers, _STEPS.value, _ROUNDS.value)
        for stepper in steppers:
            stepper.end()
    print(f"{settings.precision}, {settings.backbone}, batch {settings.batch_size}")
    report(steppers, seconds, settings.batch_size * _STEPS.value)


if __name__ == "__main__":
    app.run(main)

"""What training, evaluation and scoring cost, against size, views, batch, labels and images.

    python -m benchmarks.cost_model --output=build/cost_model.json
    python -m benchmarks.cost_model --output=build/cost_model.json --gpu_images_per_second=400

Measures on this machine, on images drawn by chance: training steps and predictions on images that
are in memory, one thing changed at a time; then `train.py` (one epoch), `evaluate.py` and
`score.py` as whole processes on JPEG files, more and more of them, by the clock and in seconds of
the processor (what other programs on the machine change least), medians of --rounds. Prints the
exponent of time against images, nothing subtracted, and the processor's once more above a fixed
start, where 1 is a time in proportion. Exit code 1: the latter is above --most_slope, or the
largest count does not take twice as long as the smallest, so that the start hides what images cost.

Then on paper: what the papers' recipes would cost on 1, 8 and 64 GPUs. How many images one GPU
trains on in a second is not measured here: give what you have measured, with the recipe's network.
"""

import dataclasses
import os
import statistics
import sys
import tempfile
from pathlib import Path

from absl import app, flags

from benchmarks.cost_model.estimate import (
    exponent_above_start,
    faults,
    log_slope,
    paper_table,
    straight_line,
)
from export.files.atomic_file import write_json


def define_flags() -> None:
    flags.DEFINE_string("output", None, "JSON file of all that was measured.", required=True)
    flags.DEFINE_string("backbone", "small", "Of the network.")
    flags.DEFINE_integer("image_size", 64, "Height and width of its input, at first.")
    flags.DEFINE_integer("batch_size", 32, "Images of a step, at first.")
    flags.DEFINE_integer("steps", 5, "Steps of each kind that are timed.", lower_bound=1)
    flags.DEFINE_list("counts", "1000,2000,4000,8000,16000", "Images that programs are given.")
    flags.DEFINE_integer("rounds", 3, "Times that each is given each number.", lower_bound=1)
    programs = ["train.py", "evaluate.py", "score.py"]
    flags.DEFINE_multi_enum("program", programs, programs, "Given more and more; repeat the flag.")
    flags.DEFINE_list("picture", "640,480", "Width and height of the JPEG files in pixels.")
    flags.DEFINE_float("most_slope", 1.15, "The largest exponent of the processor above its start.")
    flags.DEFINE_list(
        "gpu_images_per_second", "100,400,1600", "That one GPU trains on, for the paper."
    )


def measure_steps(settings) -> list[dict]:
    """Prints and returns the speed of every step."""
    from benchmarks.cost_model.steps import Step, around, prediction_speed, train_speed

    base = Step(settings.image_size, 2, settings.batch_size, 14)
    found = []
    print("| size, px | views | batch | labels | trained images/s | CPU ms | predicted | CPU ms |")
    print("|---|---|---|---|---|---|---|---|")
    for step in around(base):
        trained = train_speed(step, settings.backbone, settings.steps)
        predicted = prediction_speed(step, settings.backbone, settings.steps)
        cells = [*dataclasses.astuple(step)]
        for speed in (trained, predicted):
            cells += [f"{speed.images_per_second:.3g}", f"{speed.processor_ms:.3g}"]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
        values = {"trained": trained, "predicted": predicted}
        speeds = {name: dataclasses.asdict(speed) for name, speed in values.items()}
        found.append(dataclasses.asdict(step) | speeds)
    return found


def measure_programs(settings) -> dict[str, dict]:
    """Prints and returns the costs of whole programs, with their exponents and straight lines."""
    from benchmarks.cost_model.programs import measure

    counts = sorted({int(count) for count in settings.counts})
    picture = tuple(int(side) for side in settings.picture)
    with tempfile.TemporaryDirectory() as folder:
        network = settings.backbone, settings.image_size
        rounds = settings.rounds
        costs = measure(counts, rounds, settings.program, Path(folder), picture, *network)
    heads = "exponent: clock | CPU | CPU above the start"
    print(f"| program | {heads} | CPU ms an image more | CPU s without any |")
    print("|---|---|---|---|---|---|")
    found = {}
    for program, measured in costs.items():
        clock = log_slope(counts, _medians(measured, "seconds"))
        seconds = _medians(measured, "processor_seconds")
        processor, above = log_slope(counts, seconds), exponent_above_start(counts, seconds)
        an_image, start = straight_line(counts, seconds)
        cells = [f"{clock:.3f}", f"{processor:.3f}", f"{above:.2f}"]
        cells += [f"{1e3 * an_image:.3g}", f"{start:.3g}"]
        print(f"| {program} | {' | '.join(cells)} |")
        found[program] = {
            "costs": [dataclasses.asdict(cost) for cost in measured],
            "exponent_of_clock": clock,
            "exponent_of_processor": processor,
            "exponent_above_start": above,
            "processor_seconds": seconds,
            "processor_ms_an_image": 1e3 * an_image,
            "processor_seconds_without_images": start,
        }
    return found


def _medians(costs, name: str) -> list[float]:
    """Of each number of images, the smallest first."""
    values: dict[int, list[float]] = {}
    for cost in costs:
        values.setdefault(cost.images, []).append(getattr(cost, name))
    return [statistics.median(values[count]) for count in sorted(values)]


def print_paper(settings, steps: list[dict], programs: dict[str, dict]) -> None:
    """Prints what the recipes would cost, from the measured pieces."""
    four_views = next(step for step in steps if step["views"] == 4)
    ratio = four_views["trained"]["processor_ms"] / four_views["predicted"]["processor_ms"]
    # The network on the CPU included, which is small beside the images.
    program = "score.py" if "score.py" in programs else next(iter(programs))
    loading = programs[program]["processor_ms_an_image"]
    print(
        f"On paper: an image is evaluated {ratio:.1f} times as fast as trained on in 4 views, and"
        f" loading one takes at most {loading:.2g} ms of a core, as measured above ({program});"
        " devices share all work and lose nothing by it."
    )
    rates = [float(rate) for rate in settings.gpu_images_per_second]
    print("\n".join(paper_table(rates, ratio, loading)))


def main(_) -> None:
    settings = flags.FLAGS
    if len(set(settings.counts)) < 3:
        raise app.UsageError(f"--counts={','.join(settings.counts)}: three numbers at least.")
    Path(settings.output).parent.mkdir(parents=True, exist_ok=True)
    print(f"load of the machine at the start: {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    steps, programs = measure_steps(settings), measure_programs(settings)
    print_paper(settings, steps, programs)
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")
    write_json(settings.output, {"steps": steps, "programs": programs})
    if lines := faults(programs, settings.most_slope):
        print("\n".join(lines), file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    define_flags()
    app.run(main)

"""What a training costs on paper, and how time grows with the number of images."""

import dataclasses
from collections.abc import Sequence

import numpy as np

GPUS = (1, 8, 64)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How many images the paper's recipe of a data set takes through the network.

    Attributes:
        name: Of the recipe in `flags/recipes`.
        trained: Images (of WIDER: boxes) of an epoch.
        evaluated: Those on which every epoch is judged.
        epochs: In all.
    """

    name: str
    trained: int
    evaluated: int
    epochs: int

    def hours(self, training_rate: float, evaluation_rate: float, gpus: int) -> float:
        """Hours of a whole training; devices share every batch and lose nothing by it.

        Args:
            training_rate: Images per second that one device trains on, all views of each.
            evaluation_rate: Images per second that it evaluates.
            gpus: Devices.
        """
        epoch = self.trained / training_rate + self.evaluated / evaluation_rate
        return self.epochs * epoch / gpus / 3600


# Numbers of images as the readers check them against the releases, epochs of flags/recipes.
RECIPES = (
    Recipe("wider_r50_acfs", 28_345, 29_179, 12),
    Recipe("pa100k_r50_acfs", 90_000, 10_000, 12),
    Recipe("coco_r101_acfs", 82_783, 40_504, 14),
)


def log_slope(counts: Sequence[int], seconds: Sequence[float]) -> float:
    """The exponent k of `seconds ~ counts ** k`, by least squares of the logarithms.

    Below 1 where a fixed part weighs on small counts: nothing is subtracted.
    """
    return float(np.polyfit(np.log(counts), np.log(seconds), 1)[0])


def straight_line(counts: Sequence[int], seconds: Sequence[float]) -> tuple[float, float]:
    """Seconds an image more, and the seconds without any, by relative least squares."""
    seconds = np.asarray(seconds, float)
    slope, start = np.polyfit(counts, seconds, 1, w=1 / seconds)
    return float(slope), float(start)


def exponent_above_start(counts: Sequence[int], seconds: Sequence[float]) -> float:
    """The exponent k of `seconds ~ start + share * counts ** k`, start >= 0, to two decimals.

    By relative least squares over all counts, three at least. A fixed start, which hides in
    `log_slope` what an image costs, does not lower it: 1 is a time in proportion above any start,
    1.25 a cost of an image that doubles while counts grow 16 times.

    Small counts alone differ by little but noise, so all of them count. Where times vary by 3 %,
    medians of three of five doubled counts, k is within 0.1 nine times in ten if the start is a
    quarter of what the images of the largest count take, and within 0.15 if it is two thirds of
    that. So k shows a cost of an image that doubles, and does not tell 1.05 from 1.
    """
    counts, seconds = np.asarray(counts, float) / max(counts), np.asarray(seconds, float)

    def error(exponent: float) -> float:
        powers = counts**exponent
        share, start = straight_line(powers, seconds)
        if start < 0.0:
            relative = powers / seconds
            share, start = np.sum(relative) / np.sum(relative**2), 0.0
        return float(np.sum(((start + share * powers) / seconds - 1.0) ** 2))

    return float(min(np.arange(5, 301) / 100, key=error))


def faults(programs: dict[str, dict], most_slope: float) -> list[str]:
    """What speaks against a time in proportion to the images: a line a program.

    Args:
        programs: By name, `processor_seconds` of the counts and their `exponent_above_start`.
        most_slope: The largest exponent that passes.
    """
    lines = []
    for name, found in programs.items():
        first, *_, last = found["processor_seconds"]
        if not last >= 2.0 * first:
            times = f"{first:.3g} s of the processor on the fewest images, {last:.3g} s on the most"
            lines.append(f"{name}: {times}: its start hides what images cost; give larger --counts")
        elif not found["exponent_above_start"] <= most_slope:
            exponent = f"{found['exponent_above_start']:.2f}, at most {most_slope:g} expected"
            lines.append(f"{name}: more than in proportion to the images: exponent {exponent}")
    return lines


def paper_table(rates: Sequence[float], evaluation_speedup: float, loading_ms: float) -> list[str]:
    """Rows of Markdown: hours of each recipe for every training rate and number of GPUs.

    Args:
        rates: Images per second that one GPU trains on.
        evaluation_speedup: How many times as many images a GPU evaluates in a second.
        loading_ms: Milliseconds of a core to load an image.
    """
    heads = " | ".join(f"{count} GPU{'s' * (count > 1)}, h" for count in GPUS)
    lines = [f"| recipe | images/s a GPU trains on | {heads} | cores that load for a GPU |"]
    lines.append("|---" * (len(GPUS) + 3) + "|")
    for recipe in RECIPES:
        for rate in rates:
            hours = (recipe.hours(rate, rate * evaluation_speedup, count) for count in GPUS)
            cells = [recipe.name, f"{rate:g}", *(f"{each:.3g}" for each in hours)]
            lines.append(f"| {' | '.join([*cells, f'{rate * loading_ms / 1e3:.2g}'])} |")
    return lines

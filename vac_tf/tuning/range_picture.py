"""The picture of a range test."""

from vac_tf.figures.style import BLUE, GRAY, GREEN, ORANGE, PURPLE, page_figure
from vac_tf.tuning.suggestion import RULES

_COLORS = (GREEN, ORANGE)


def draw_range_test(result, rate: float, path: str) -> None:
    """Loss over the learning rate, with the suggested rates and that of the training.

    Args:
        result: a `vac_tf.tuning.range_test.RangeTest`.
        rate: of the training.
        path: the PNG to write.
    """
    steps = [step for step in result.steps if step["loss"] is not None]
    rates, losses, smoothed = (
        [step[name] for step in steps] for name in ("learning_rate", "loss", "smoothed_loss")
    )
    with page_figure(path, 4.5) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.plot(rates, losses, ".", color=GRAY, ms=4, alpha=0.5, label="loss of the step")
        axes.plot(rates, smoothed, color=BLUE, label="smoothed loss")
        for (rule, suggested), color in zip(result.suggestion.rates.items(), _COLORS, strict=False):
            name = f"{suggested:.2g}: {RULES[rule].split(',')[0]}"
            axes.axvline(suggested, color=color, ls="--", lw=1.2, label=name)
        axes.axvline(rate, color=PURPLE, ls=":", lw=1.2, label=f"{rate:.2g}: --learning_rate")
        # A divergence would press everything else flat.
        lowest = result.suggestion.lowest_loss
        start = max(smoothed[: max(len(smoothed) // 2, 1)])
        axes.set_ylim(lowest - 0.1 * abs(start - lowest), start + 0.5 * abs(start - lowest))
        axes.set(xlabel="learning rate", ylabel="loss")
        axes.grid(True)
        axes.legend()

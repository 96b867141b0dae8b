"""Which step of scoring limits the speed, said in a sentence, and what helps."""

import dataclasses
import math

from export.scoring.benchmark.figures import Figures

DECODING = "decoding"
READING = "reading"
NETWORK = "network"
MAIN_PROCESS = "main process"
ROWS = "rows"

# Decoders that wait longer than they work lack files, or work, but no cores.
_MOSTLY = 0.5
# A GPU that waits less for images is the limit itself: the rest are joins between its calls.
_HARDLY_IDLE = 0.15
# Of the cores that a job keeps busy, when there are none left to be had: joins take some time too.
_ALL_BUSY = 0.85
# Less is noise.
_WORTH = 1.05


@dataclasses.dataclass(frozen=True)
class Bottleneck:
    """The step that limits.

    Attributes:
        step: `decoding`, `reading`, `network`, `main process` or `rows`.
        reason: What was measured, as a sentence.
        advice: What helps, as the end of one.
    """

    step: str
    reason: str
    advice: str

    def __str__(self) -> str:
        return f"{self.reason} What helps: {self.advice}."


def find_bottleneck(figures: Figures, fast_decode_gain: float = 1.0) -> Bottleneck:
    """The step that limits, by these rules.

    * A network on a GPU limits exactly when it hardly waits for images.
    * Steps that share all cores, which are busy: the one that takes most processor time.
    * Otherwise the step that is slowest alone. Where decoders wait for more than half of their
      time, loading counts as the main process if that was busy for more than half of it, else as
      reading; where they are threads that wait for each other's lock, as the main process. Reading
      limits also when files that are not cached come more slowly than all else. The main process
      can score no more images a second than it takes seconds of a core for each.

    Args:
        figures: What was measured.
        fast_decode_gain: How many times as fast --fast_decode loads these images; 1 where it is in
            use already or changes nothing.
    """
    step = _limiting_step(figures)
    reason, advice = _SENTENCES[step](figures, fast_decode_gain)
    return Bottleneck(step, reason, advice)


def _limiting_step(figures: Figures) -> str:
    loading, job = _limit_of_loading(figures), figures.job
    if figures.on_gpu and job.network_idle <= _HARDLY_IDLE:
        return NETWORK
    if not figures.on_gpu and (
        job.processor_seconds * job.images_per_second >= _ALL_BUSY * figures.cores
    ):
        return _largest_share(figures)
    rates = {
        loading: figures.loading.images_per_second,
        ROWS: figures.rows.images_per_second,
        NETWORK: figures.network.images_per_second,
    }
    if figures.on_gpu:
        del rates[NETWORK]
    rates[READING] = min(figures.files_per_second, rates.get(READING, math.inf))
    in_main = _limit_in_main(figures)
    ceiling = 1.0 / max(figures.main_seconds, 1e-9)
    rates[in_main] = min(ceiling, rates.get(in_main, ceiling))
    return min(rates, key=rates.__getitem__)


def _limit_of_loading(figures: Figures) -> str:
    loading = figures.loading
    if not loading.in_processes and loading.lock_wait >= _MOSTLY:
        return MAIN_PROCESS
    if loading.blocked_share is None:  # The system does not say.
        return MAIN_PROCESS if loading.main_busy >= _MOSTLY else DECODING
    if loading.blocked_share < _MOSTLY:
        return DECODING
    return MAIN_PROCESS if loading.main_busy >= _MOSTLY else READING


def _limit_in_main(figures: Figures) -> str:
    takes_most = figures.rows.processor_seconds > figures.loading.main_seconds
    return ROWS if takes_most else MAIN_PROCESS


def _largest_share(figures: Figures) -> str:
    in_decoders, in_main = figures.loading.decoder_seconds, figures.main_seconds
    seconds = {
        DECODING: in_decoders,
        NETWORK: figures.job.processor_seconds - in_decoders - in_main,
        _limit_in_main(figures): in_main,
    }
    return max(seconds, key=seconds.__getitem__)


def _decoding(figures: Figures, fast_decode_gain: float) -> tuple[str, str]:
    wanted = math.ceil(figures.network.images_per_second * figures.loading.decoder_seconds)
    lacking = wanted - figures.cores
    if not figures.on_gpu:
        helps = ["more cores, which the network shares"]
    elif lacking > 0:
        helps = [f"{lacking} more core{'s' if lacking > 1 else ''}"]
    else:
        helps = [f"--decoders={max(wanted, figures.decoders + 1)}"]
    if fast_decode_gain > _WORTH:
        helps.append(f"--fast_decode ({fast_decode_gain:.2f} times as fast)")
    return (
        f"Decoding limits: {_loaders(figures)} load {figures.loading.images_per_second:.0f}"
        f" images/s ({1e3 * figures.loading.decoder_seconds:.1f} CPU ms an image), the network"
        f" could take {figures.network.images_per_second:.0f}.",
        _either([*helps, "smaller files"]),
    )


def _reading(figures: Figures, fast_decode_gain: float) -> tuple[str, str]:
    waiting = 100.0 * (figures.loading.blocked_share or 0.0)
    return (
        f"Reading limits: {figures.files_per_second:.0f} files a second that are not cached,"
        f" {_loaders(figures)} load {figures.loading.images_per_second:.0f} images/s and wait for"
        f" {waiting:.0f} % of their time, the network could take"
        f" {figures.network.images_per_second:.0f}.",
        "more --decoders than cores, which wait side by side, faster storage, or tar files instead"
        " of many small files",
    )


def _network(figures: Figures, fast_decode_gain: float) -> tuple[str, str]:
    advice = (
        "an fp16 export, a smaller network, or more GPUs (--shard)"
        if figures.on_gpu
        else "a GPU, an INT8 export on a CPU with VNNI, or a smaller network"
    )
    return (
        f"The network limits: alone it computes {figures.network.images_per_second:.0f} images/s,"
        f" {_loaders(figures)} load {figures.loading.images_per_second:.0f}.",
        advice,
    )


def _main_process(figures: Figures, fast_decode_gain: float) -> tuple[str, str]:
    if not figures.loading.in_processes:
        return (
            f"The main process limits: its {figures.decoders} decoder threads load"
            f" {figures.loading.images_per_second:.0f} images/s and wait for one another's"
            f" interpreter lock (a thread {100.0 * figures.loading.lock_wait:.0f} % of its time).",
            "decoder processes: --decoders=2 or more, and at least 256 images",
        )
    return (
        f"The main process limits: it takes {1e3 * figures.main_seconds:.2f} CPU ms an image, so"
        f" that it scores at most {1.0 / figures.main_seconds:.0f} images/s; the network could"
        f" take {figures.network.images_per_second:.0f}.",
        "several processes, each with a --shard",
    )


def _rows(figures: Figures, fast_decode_gain: float) -> tuple[str, str]:
    return (
        f"Rows limit: {figures.rows.images_per_second:.0f} are built and written a second"
        f" ({1e3 * figures.rows.processor_seconds:.2f} CPU ms each), the network could take"
        f" {figures.network.images_per_second:.0f} images/s.",
        "Parquet instead of text, a faster disk for --output, or fewer heatmaps",
    )


_SENTENCES = {
    DECODING: _decoding,
    READING: _reading,
    NETWORK: _network,
    MAIN_PROCESS: _main_process,
    ROWS: _rows,
}


def _loaders(figures: Figures) -> str:
    kind = "process" if figures.loading.in_processes else "thread"
    plural = "" if figures.decoders == 1 else "es" if figures.loading.in_processes else "s"
    return f"{figures.decoders} decoder {kind}{plural}"


def _either(ways: list[str]) -> str:
    return f"{', '.join(ways[:-1])}, or {ways[-1]}" if len(ways) > 2 else " or ".join(ways)

"""A job of those pictures only that were not scored yet, as a ledger knows them."""

import array
import contextlib
import dataclasses
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator

from export.bundle.model_file import check_model_file, hash_file
from export.scoring.config import ScoringConfig
from export.scoring.incremental.contents import Content, Contents, read_contents
from export.scoring.incremental.ledger import (
    KnownRow,
    Ledger,
    failed_content,
    open_ledger,
    settings_text,
)
from export.scoring.job import score
from export.scoring.output.finished_rows import read_statuses
from export.scoring.output.writers import check_output
from export.scoring.progress.metrics import job_metrics
from export.scoring.report import ScoringReport, Skipped
from export.scoring.sources.input import ScoringInput, Source, select
from export.scoring.sources.open_source import open_source

LEDGER_FOLDER = "scored.ledger"  # Beside the output.
# What decides the values of a row, beside the model and the picture. Batch size, provider and
# versions of packages may change last digits only; the format changes none.
_SETTINGS = (
    *("fast_decode", "logits", "top_k", "embeddings"),
    *("heatmaps", "heatmap_labels", "heatmap_margin"),
)
_SECONDS_BETWEEN = 30.0  # Of lines that say how far it is.
_LOGGER = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Selection:
    """The rows to score.

    Attributes:
        source: These rows alone.
        repeats: Which of those of its name each one is, see `Ledger.repeat_of`.
        contents: What their pictures held.
        skipped: How many others there are, and why these are none of them.
    """

    source: Source
    repeats: "array.array[int]"
    contents: Contents
    skipped: Skipped


def score_only_new(
    config: ScoringConfig, use_output: Callable[[], None] = lambda: None
) -> ScoringReport:
    """Scores the rows whose picture, model or settings are not those of the ledger.

    Rows are recorded when the output is in its place and was used; those without scores are tried
    again by the next job.

    Args:
        config: The job.
        use_output: Called once the output is in its place. Where it fails nothing is recorded, and
            the same command comes to it again.

    Raises:
        ValueError: as `score`, for images by URL, and when the ledger cannot be used.
    """
    suffix, settings = check_output(config.output), _row_settings(config)
    source = open_source(config.images, config.image_root, config.read_limits)
    folder = config.ledger or os.path.join(os.path.dirname(config.output), LEDGER_FOLDER)
    start = time.monotonic()
    with open_ledger(folder) as ledger:
        selection = _select(config, source, ledger, settings)
        _LOGGER.info(
            "%d of %d images are to be scored (%.1f s to compare them with %r).",
            selection.source.count,
            source.count,
            time.monotonic() - start,
            folder,
        )
        if not selection.source.count:
            return _nothing_new(config, selection)
        report = score(config, selection.source)
        use_output()
        rows = _recorded_rows(selection, read_statuses(config.output, suffix))
        ledger.record(settings, os.path.abspath(config.output), rows)
    return dataclasses.replace(report, skipped=selection.skipped)


def _row_settings(config: ScoringConfig) -> str:
    check_model_file(config.model)
    values = {name: getattr(config, name) for name in _SETTINGS}
    # Below 0 they are the model's own, which its hash says.
    values["threshold"] = config.threshold if config.threshold >= 0.0 else None
    return settings_text({"model_sha256": hash_file(config.model), **values})


def _select(config: ScoringConfig, source: Source, ledger: Ledger, settings: str) -> Selection:
    rows, repeats = array.array("Q"), array.array("Q")
    contents, skipped = Contents(), Skipped()
    digest, last = hashlib.sha256(), time.monotonic()
    read = read_contents(source.read(), config.read_limits, config.decoder_count)
    with contextlib.closing(read):
        for row, (scoring_input, content) in enumerate(read):
            if time.monotonic() - last >= _SECONDS_BETWEEN:
                last = time.monotonic()
                _LOGGER.info("%d of %d images are compared.", row, source.count)
            repeat = ledger.repeat_of(scoring_input)
            known = ledger.find(scoring_input, repeat)
            skipped = skipped.count(_reason(known, content, settings))
            if known == KnownRow(content.sha256, settings):
                continue
            rows.append(row)
            repeats.append(repeat)
            contents.append(content)
            # With the contents: a job goes on only where they are what its parts were made of.
            identity = (scoring_input.image, scoring_input.box, scoring_input.problem is None)
            digest.update(repr((*identity, scoring_input.member, content.sha256)).encode())
    chosen = dataclasses.replace(
        source,
        count=len(rows),
        sha256=digest.hexdigest(),
        read=lambda: select(source.read(), rows),
        failed_before=skipped.failed,
    )
    return Selection(chosen, repeats, contents, skipped)


def _reason(known: KnownRow | None, content: Content, settings: str) -> str:
    """The field of `Skipped` that counts a row."""
    if known is None:
        return "new"
    if known.content == failed_content(content.sha256):
        return "failed"
    if known.content != content.sha256:
        return "changed"
    return "known" if known.settings == settings else "other_settings"


def _recorded_rows(
    selection: Selection, statuses: Iterator[str]
) -> Iterator[tuple[ScoringInput, int, bytes]]:
    """The rows whose files are still those that were compared, and those without scores."""
    replaced, columns = 0, (selection.repeats, selection.contents, statuses)
    rows = zip(selection.source.read(), *columns, strict=True)
    for scoring_input, repeat, content, status in rows:
        if status != "ok":
            yield scoring_input, repeat, failed_content(content.sha256)
        elif content.is_still_in(scoring_input):
            yield scoring_input, repeat, content.sha256
        else:
            replaced += 1
    if replaced:
        _LOGGER.warning(
            "%d files were written while the job ran: the next one scores them again.", replaced
        )


def _nothing_new(config: ScoringConfig, selection: Selection) -> ScoringReport:
    facts = {"output": config.output, "model_sha256": hash_file(config.model)}
    with job_metrics(config, 0, {}, facts):
        pass  # Or a dashboard would show yesterday's job.
    return ScoringReport(
        {"ok": 0},
        0.0,
        "",
        "",
        left_out=selection.source.left_out,
        nothing="no image is new or changed",
        skipped=selection.skipped,
    )

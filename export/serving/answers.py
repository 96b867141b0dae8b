"""What an image's answer holds: the values of its row of `score.py`, as JSON."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pydantic

from export.scoring.decoding.loading import LoadedInput
from export.scoring.engine.heatmap_rows import ShownMaps, cut_maps
from export.scoring.output.heatmap_peaks import Peaks, describe_peaks
from export.scoring.output.rows import RowBlock, printable_path

# What a request asks for of heatmaps of decided labels.
Heatmaps = Literal["none", "peaks", "maps"]


class Peak(pydantic.BaseModel):
    """Where the network looked for a decided label, in pixels of the image."""

    label: str
    value: float | None = pydantic.Field(description="The heatmap's largest value.")
    row: float | None
    column: float | None
    centroid_row: float | None
    centroid_column: float | None
    x: float | None = pydantic.Field(description="Of a box around the region, as are y, w, h.")
    y: float | None
    w: float | None
    h: float | None


class Result(pydantic.BaseModel):
    """One image."""

    image: str = pydantic.Field(description="Its name, where the request gave one.")
    status: str = pydantic.Field(description="`ok`, or the word that score.py's row would have.")
    error: str | None = pydantic.Field(description="Why there are no scores.")
    probabilities: dict[str, float] | None = pydantic.Field(description="By label.")
    stability: dict[str, float] | None = pydantic.Field(
        None, description="By label, where the model averages views: how far they agree, 0 to 1."
    )
    decisions: list[str] | None = pydantic.Field(description="Decided labels.")
    peaks: list[Peak] | None = pydantic.Field(None, description="With heatmaps=peaks or maps.")
    heatmaps: dict[str, list[list[float | None]]] | None = pydantic.Field(
        None, description="With heatmaps=maps: rows of cells of the network's grid, by label."
    )


class Answer(pydantic.BaseModel):
    """All images of a request, in its order."""

    results: list[Result]


class Refused(pydantic.BaseModel):
    """A request that was refused as a whole."""

    status: str = pydantic.Field(description="Why, in a word.")
    error: str = pydantic.Field(description="What was received, what was expected.")


def describe_rows(
    block: RowBlock,
    batch: Sequence[LoadedInput],
    values: Mapping[str, np.ndarray],
    wanted: Sequence[Heatmaps],
    label_names: Sequence[str],
) -> list[dict[str, Any]]:
    """The rows of a batch as `Result` has them, as plain values.

    Args:
        block: The N rows.
        batch: The inputs that they are of.
        values: What the network gave: `heatmaps` `[N, h, w, L]` where any row wants them.
        wanted: What of heatmaps each row wants.
        label_names: L names.
    """
    scores = {"probabilities": block.probabilities, "stability": block.stability}
    # Numbers in the shortest form that is the float32, as score.py writes them.
    numbers = {
        name: values.astype(str).astype(np.float64)
        for name, values in scores.items()
        if values is not None
    }
    results = [_describe_row(block, row, numbers, label_names) for row in range(len(block.inputs))]
    wants_heatmaps = np.array([heatmaps != "none" for heatmaps in wanted])
    if wants_heatmaps.any():
        shown = cut_maps(block.decisions & wants_heatmaps[:, None], batch, values.get("heatmaps"))
        _add_heatmaps(results, shown, wanted, label_names)
    return results


def keep_top(results: Sequence[dict[str, Any]], count: int) -> None:
    """Leaves the most probable labels, the first first, as `--top_k` does."""
    for result in results:
        if (probabilities := result["probabilities"]) is not None:
            best = sorted(probabilities, key=probabilities.get, reverse=True)[:count]
            for name in {"probabilities", "stability"} & set(result):
                result[name] = {label: result[name][label] for label in best}


def _describe_row(block, row, numbers, label_names) -> dict[str, Any]:
    is_scored, error = block.statuses[row] == "ok", block.errors[row]
    decided = np.flatnonzero(block.decisions[row])
    scores = {
        name: dict(zip(label_names, values[row].tolist(), strict=True)) if is_scored else None
        for name, values in numbers.items()
    }
    return {
        "image": printable_path(block.inputs[row].image),
        "status": block.statuses[row],
        "error": None if error is None else printable_path(error),
        **scores,
        "decisions": [label_names[label] for label in decided] if is_scored else None,
    }


def _add_heatmaps(results, shown: ShownMaps, wanted, label_names) -> None:
    counts = np.bincount(shown.rows, minlength=len(results))
    peaks = Peaks(counts, shown.labels, *describe_peaks(shown.maps, shown.corners))
    for result, heatmaps, objects in zip(results, wanted, peaks.objects(label_names), strict=True):
        if heatmaps != "none" and result["status"] == "ok":
            for peak in objects:
                del peak["file"]
            result["peaks"] = objects
            if heatmaps == "maps":
                result["heatmaps"] = {}
    for number, (row, label) in enumerate(zip(shown.rows, shown.labels, strict=True)):
        if wanted[row] == "maps":
            heatmap = shown.maps[:, :, number].astype(str).astype(np.float64)
            cells = np.where(np.isfinite(heatmap), heatmap, None).tolist()
            results[row]["heatmaps"][label_names[label]] = cells

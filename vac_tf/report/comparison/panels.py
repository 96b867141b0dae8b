"""Where several runs look in one image under every transform (VAC paper, Figure 5)."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from vac_tf.evaluation.classification import EvaluatedRun
from vac_tf.evaluation.heatmap_consistency import heatmap_strides, table2_transforms
from vac_tf.figures.heatmap_overlay import overlay
from vac_tf.inputs.prediction import inference
from vac_tf.report.comparison.runs import ComparedRun
from vac_tf.report.gallery import Place
from vac_tf.report.legend import VIEWS
from vac_tf.report.looking import Looks

_TITLES = {"original": "original"} | VIEWS


@dataclasses.dataclass(frozen=True)
class Panel:
    """A label on an image: title of a row (a transform) -> an address per run, or None."""

    label: str
    file: str
    rows: dict[str, list[str | None]]


def panel_examples(evaluated: EvaluatedRun, looks: Looks, most: int = 3) -> list[tuple[int, int]]:
    """Images and labels, present and found, whose maps follow the mirror least; one per label.

    Args:
        evaluated: the evaluation.
        looks: the maps to choose from.
        most: number of examples. Where nothing is found, labels that are present will do.
    """
    present = [pair for pair in looks.maps if evaluated.labels[pair] == 1]
    found = [pair for pair in present if evaluated.logits[pair] > 0] or present
    found.sort(key=lambda pair: -(looks.maps[pair].inconsistency or 0.0))
    first_of_label: dict[int, tuple[int, int]] = {}
    for pair in found:
        first_of_label.setdefault(pair[1], pair)
    return list(first_of_label.values())[:most]


def draw_panels(
    evaluated: EvaluatedRun,
    runs: Sequence[ComparedRun],
    examples: Sequence[tuple[int, int]],
    place: Place,
) -> list[Panel]:
    """Draws the examples; every run has one scale of colours per example.

    Args:
        evaluated: the evaluation.
        runs: the columns.
        examples: image and label each.
        place: where pictures go.
    """
    panels, split = [], evaluated.source.split
    for image, label in examples:
        columns = [_column(run, image, label, place) for run in runs]
        rows = {
            title: [column.get(name) for column in columns]
            for name, title in _TITLES.items()
            if any(name in column for column in columns)
        }
        file = os.path.basename(split.image_paths[image])
        panels.append(Panel(split.label_names[label], file, rows))
    return panels


def _column(run: ComparedRun, image, label, place) -> dict[str, str]:
    """Name of a transform -> address of the transformed image with its map over it."""
    inputs = run.source.resized(image)[None]
    size, kernel = run.run_config.image_size, run.run_config.resize_kernel
    transforms = table2_transforms(run.network, size, kernel, heatmap_strides(run.network))
    views = {"original": inputs} | {
        name: transform.images(inputs) for name, transform in transforms.items()
    }
    maps = {name: _map(run, view, label) for name, view in views.items()}
    low, high = (float(end(list(map(end, maps.values())))) for end in (np.min, np.max))
    return {
        name: place(overlay(np.asarray(view[0]), maps[name], low, high))
        for name, view in views.items()
    }


def _map(run, images, label):
    heatmaps = inference(run.network)(images)["heatmaps"]
    return tf.cast(heatmaps, tf.float32).numpy()[0, :, :, run.columns[label]]

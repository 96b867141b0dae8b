"""What views cost and what they gain: the exported network beside the same one without them."""

import dataclasses
import os
import statistics
import tempfile
import time
from typing import Any

import numpy as np

from export.building.conversion.onnx_writer import write_onnx
from export.building.gate.drift import measure_drift
from export.building.gate.precision_gate import GateSet, run_session
from export.building.serving_network import InferenceNetwork
from export.bundle.description import ModelDescription
from export.scoring.runtime.session import NetworkSession

_BATCH = 8
_ROUNDS = 5


def measure_views(
    path: str,
    network: InferenceNetwork,
    description: ModelDescription,
    gate_set: GateSet,
    opset: int,
) -> dict[str, Any]:
    """Compares a file that averages views with the same network on the image alone.

    Args:
        path: The float32 file.
        network: The same without views.
        description: Of the file.
        gate_set: The images, with what the file is to give for them.
        opset: Of the file.

    Returns:
        Plain values, as `bundle.json` holds them: `milliseconds_per_image` on this host's CPU of
        `one` view and of `all`, in batches of `batch` images; of `images` images, the share of
        decisions that differ (`decisions_changed`), and `mAP` and `mA` of `one` and `all`, None
        without labels.
    """
    with tempfile.TemporaryDirectory() as folder:
        alone_path = os.path.join(folder, "one_view.onnx")
        write_onnx(alone_path, network, dataclasses.replace(description, tta=()), opset)
        alone = NetworkSession(alone_path, "cpu")
    names = ("logits", "probabilities")
    figures = measure_drift(
        run_session(alone, gate_set.images, names),
        {name: gate_set.reference[name] for name in names},
        gate_set.labels,
        description.label_names,
        np.array(description.thresholds, np.float32),
        description.unknown_labels,
        label_groups=description.label_groups,
    )
    metrics = {
        name: {"one": values["keras"], "all": values["exported"]}
        for name, values in figures["metrics"].items()
        if name in ("mAP", "mA")
    }
    images = gate_set.images[:_BATCH]
    return {
        "views": list(description.tta),
        "batch": len(images),
        "milliseconds_per_image": _time(alone, NetworkSession(path, "cpu"), images),
        "images": len(gate_set.images),
        "decisions_changed": figures["decisions"]["changed"],
        **metrics,
    }


def _time(alone: NetworkSession, all_views: NetworkSession, images: np.ndarray) -> dict[str, float]:
    """The median of some calls of each, in turn, so that what else the host does hits both."""
    seconds: dict[str, list[float]] = {"one": [], "all": []}
    for number in range(_ROUNDS + 1):
        for name, session in (("one", alone), ("all", all_views)):
            start = time.perf_counter()
            session.run(images)
            if number:  # The first call makes the memory that later ones use.
                seconds[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(each) / len(images) for name, each in seconds.items()}


def describe_views(measured: dict[str, Any]) -> list[str]:
    """Sentences of `measure_views`: the cost, then the gain."""
    cost = measured["milliseconds_per_image"]
    lines = [
        f"An image with {', '.join(measured['views'])} takes {cost['all']:.3g} ms, alone"
        f" {cost['one']:.3g} ms ({cost['all'] / cost['one']:.2f} times), in batches of"
        f" {measured['batch']} on this host's CPU."
    ]
    gains = [
        f"{name} is {measured[name]['all']:.4f} with the views, {measured[name]['one']:.4f} without"
        for name in ("mAP", "mA")
        if None not in measured[name].values()
    ]
    changed = f"{measured['decisions_changed']:.3%} of the decisions differ"
    lines.append(f"On {measured['images']} validation images {'; '.join([*gains, changed])}.")
    return lines

"""Do views of an image pay, and does their disagreement tell errors?

    python -m experiments.test_time_views --run_dir=runs/mine --split=test \
        --tta=hflip --tta=hflip,scale:256

Exports the run's network without views and with each `--tta` (as `export_model.py --tta` does),
and runs each ONNX file on the CPU over the images of a split. Printed, a line per file: mAP and mA
of its decisions, the relative inconsistency of its heatmaps under mirroring, a quarter turn and a
shift by one cell, and images/s of the network alone (the files take turns; no first call counts).

Then, of each file with views: the AUC with which `1 - stability` tells wrong decisions from right
ones, that of the plain uncertainty (how near the probability is to another decision, which needs
no views), and their difference, with 95 % bootstrap intervals over images, those of one person or
other unit of the split drawn together. `within labels` compares decisions on one label only; over
all of them a score can win by telling rare labels from common ones. One run is one draw:
differences between networks need several.
"""

import dataclasses
import os
import tempfile
import time
from collections.abc import Mapping, Sequence

import numpy as np
from absl import flags as absl_flags

from flags.console import quiet_imports
from flags.program import run_program

FLAGS = absl_flags.FLAGS
_BATCH = 32


@dataclasses.dataclass
class Measured:
    """What one exported file gave for all images.

    Attributes:
        tta: Its views beside the image; empty: none.
        logits, probabilities: float32 `[N, L]`.
        stability: Likewise; None without views.
        inconsistency: Relative, by the name of the transform.
        seconds: In the network, without its first call.
    """

    tta: str
    logits: np.ndarray
    probabilities: np.ndarray
    stability: np.ndarray | None
    inconsistency: Mapping[str, float | None]
    seconds: float


def compare_predictors(
    is_wrong: np.ndarray,
    is_known: np.ndarray,
    predictors: Mapping[str, np.ndarray],
    samples: int,
    within_labels: bool,
    seed: int = 0,
    units: np.ndarray | None = None,
) -> dict[str, tuple[float | None, tuple[float, float] | None]]:
    """How well each predictor tells wrong decisions from right ones.

    Args:
        is_wrong: bool `[N, L]`.
        is_known: bool `[N, L]`; other decisions are left out.
        predictors: Two of float `[N, L]` by name, higher where a decision is held to be wrong.
        samples: Of the bootstrap.
        within_labels: Compare decisions on one label only.
        seed: Of the samples.
        units: `[N]`, `Split.unit_numbers`: images that are drawn together.

    Returns:
        By name the AUC and its 95 % interval over images or units of them, and as `difference`
        those of the first less the second on the same samples; None where there is no wrong or no
        right decision.
    """
    from vac_tf.metrics.bootstrap import percentile_interval, resample_counts
    from vac_tf.metrics.roc import roc_auc

    rows, labels = np.nonzero(is_known)
    strata = labels if within_labels else None

    def aucs(weights=None):
        found = [
            roc_auc(is_wrong[is_known], values[is_known], weights, strata)
            for values in predictors.values()
        ]
        return [*found, None if None in found else found[0] - found[1]]

    draws = [
        aucs(count[rows])
        for counts in resample_counts(len(is_wrong), samples, seed, units)
        for count in counts.T
    ]
    intervals = [percentile_interval(column) for column in np.array(draws, np.float64).T]
    return dict(zip((*predictors, "difference"), zip(aucs(), intervals, strict=True), strict=True))


def measure(sessions, split, network, transforms) -> list[Measured]:
    """Runs every exported file over a split.

    Args:
        sessions: The opened files by their views.
        split: The images.
        network: Of the run, for its stride.
        transforms: Of the inconsistency, by name.
    """
    from export.building.gate.images import scorer_images
    from vac_tf.evaluation.heatmap_consistency import heatmap_strides
    from vac_tf.metrics.inconsistency import InconsistencyAccumulator

    stride = min(heatmap_strides(network))
    parts = {tta: [] for tta in sessions}
    seconds = dict.fromkeys(sessions, 0.0)
    accumulators = {
        tta: {name: InconsistencyAccumulator() for name in transforms} for tta in sessions
    }
    for start in range(0, len(split), _BATCH):
        rows = split.select(range(start, min(start + _BATCH, len(split))))
        preprocessing = next(iter(sessions.values())).description.preprocessing
        images = scorer_images(rows, preprocessing)
        turn = start // _BATCH
        if turn == 0:
            for session in sessions.values():
                session.run(images)  # The first call is slower.
        for tta in _rotated(list(sessions), turn):
            session = sessions[tta]
            before = time.perf_counter()
            outputs = session.run(images)
            seconds[tta] += time.perf_counter() - before
            heatmaps = outputs.pop("heatmaps")
            parts[tta].append(outputs)
            for name, transform in transforms.items():
                view = np.ascontiguousarray(transform.images(images), np.float32)
                accumulators[tta][name].update(
                    np.asarray(transform.heatmaps(heatmaps, stride)),
                    session.run(view, ("heatmaps",))["heatmaps"],
                    transform.valid_mask(*heatmaps.shape[1:3], stride),
                    original=heatmaps,
                )
    found = []
    for tta, each in parts.items():
        names = ("logits", "probabilities", "stability")
        values = [
            np.concatenate([part[name] for part in each]) if name in each[0] else None
            for name in names
        ]
        relative = {name: a.result()["relative"] for name, a in accumulators[tta].items()}
        found.append(Measured(tta, *values, relative, seconds[tta]))
    return found


def _rotated(names: list[str], turn: int) -> list[str]:
    # What ran before can slow what comes next.
    first = turn % len(names)
    return names[first:] + names[:first]


def describe(found: Sequence[Measured], split, description) -> list[str]:
    """The table of all files: a line of names, then one per file."""
    from export.building.gate.drift import measure_drift

    names = list(found[0].inconsistency)
    lines = [f"{'views':24}  mAP     mA      {'  '.join(f'{name:>9}' for name in names)}  images/s"]
    outputs = [{"logits": each.logits, "probabilities": each.probabilities} for each in found]
    for each, own in zip(found, outputs, strict=True):
        metrics = measure_drift(
            outputs[0],
            own,
            split.labels,
            split.label_names,
            np.array(description.thresholds, np.float32),
            description.unknown_labels,
            label_groups=description.label_groups,
        )["metrics"]
        cells = [_cell(metrics[name]["exported"], 6) for name in ("mAP", "mA")]
        cells += [_cell(each.inconsistency[name], 9) for name in names]
        speed = len(split) / each.seconds
        lines.append(f"{each.tta or 'the image alone':24}  {'  '.join(cells)}  {speed:8.1f}")
    return lines


def describe_errors(each: Measured, split, description, samples: int) -> list[str]:
    """What the stability of one file says of wrong decisions."""
    from export.bundle.label_groups import decide, distance_to_other_decision

    thresholds, groups = np.array(description.thresholds, np.float32), description.label_groups
    is_known = ~np.isnan(split.labels)
    is_wrong = decide(each.probabilities, thresholds, groups) != (split.labels >= 0.5)
    predictors = {
        "1 - stability": 1.0 - each.stability,
        "nearness to another decision": -distance_to_other_decision(
            each.probabilities, thresholds, groups
        ),
    }
    count = int(is_wrong[is_known].sum())
    lines = [f"{each.tta}: {count} of {int(is_known.sum())} decisions are wrong. AUC of"]
    for title, within in (("within labels", True), ("over all", False)):
        units = split.unit_numbers
        found = compare_predictors(is_wrong, is_known, predictors, samples, within, units=units)
        cells = [f"{name} {_interval(*values)}" for name, values in found.items()]
        lines.append(f"  {title}: {', '.join(cells)}")
    return lines


def _cell(value: float | None, width: int) -> str:
    return f"{'-' if value is None else f'{value:.4f}':>{width}}"


def _interval(value, interval) -> str:
    if value is None or interval is None:
        return "-"
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def open_views(run, ttas: Sequence[str], folder: str):
    """The network of a run, its description, and its exports by their views, opened."""
    from export.building.conversion.onnx_writer import write_onnx
    from export.building.exporter import describe_run
    from export.building.serving_network import InferenceNetwork
    from export.scoring.runtime.session import NetworkSession
    from vac_tf.evaluation.test_time_views import parse_views
    from vac_tf.inputs.settings import image_settings
    from vac_tf.models.saving import load_network

    config = run.read_config()
    settings = image_settings(config)
    views_of = {tta: parse_views(tta, settings.resize_kernel) for tta in ttas}
    described = describe_run(run, config, settings, "float32")
    network, sessions = load_network(run.network_file), {}
    for number, (tta, views) in enumerate(views_of.items()):
        inference = InferenceNetwork(
            network,
            described.preprocessing,
            described.calibration,
            label_groups=described.label_groups,
            views=views,
        )
        path = os.path.join(folder, f"{number}.onnx")
        specs = tuple(view.spec for view in views)
        write_onnx(path, inference, dataclasses.replace(described, tta=specs), opset=18)
        sessions[tta] = NetworkSession(path, "cpu")
    return network, described, sessions


def read_images(run, split_name: str, max_images: int, label_names: tuple[str, ...]):
    """The readable images of a split of a run, spread evenly over it."""
    from vac_tf.datasets.run_splits import read_named_split
    from vac_tf.inputs.settings import image_settings, leave_bad_images_out

    config = run.read_config()
    split = read_named_split(config, split_name)
    count = min(max_images or len(split), len(split))
    split = split.select(np.linspace(0, len(split) - 1, count).round().astype(int))
    return leave_bad_images_out(split.with_labels(label_names), image_settings(config))[0]


def main() -> None:
    with quiet_imports():
        from vac_tf.evaluation.heatmap_consistency import heatmap_strides, table2_transforms
        from vac_tf.runs.folder import RunFolder

    run = RunFolder(FLAGS.run_dir)
    with tempfile.TemporaryDirectory() as folder:
        network, described, sessions = open_views(run, ("", *FLAGS.tta), folder)
    split = read_images(run, FLAGS.split, FLAGS.max_images, described.label_names)
    size = described.preprocessing
    transforms = table2_transforms(
        network, size.height, size.resize_kernel, heatmap_strides(network)
    )
    transforms.pop("scale", None)  # The files take images of one size.
    found = measure(sessions, split, network, transforms)
    print(f"{len(split)} images of {FLAGS.split}, {len(split.label_names)} labels")
    print("\n".join(describe(found, split, described)))
    for each in found:
        if each.stability is not None:
            print("\n".join(describe_errors(each, split, described, FLAGS.bootstrap_samples)))


if __name__ == "__main__":
    absl_flags.DEFINE_string("run_dir", None, "Folder that train.py wrote.", required=True)
    absl_flags.DEFINE_string("split", "test", "Split of the run's data set.")
    absl_flags.DEFINE_multi_string(
        "tta", ["hflip"], "Views beside the image, as export_model.py --tta has them; repeatable."
    )
    absl_flags.DEFINE_integer(
        "max_images", 0, "So many images, spread evenly over the split; 0: all.", lower_bound=0
    )
    absl_flags.DEFINE_integer("bootstrap_samples", 200, "Resamples of the images.", lower_bound=1)
    run_program(main)

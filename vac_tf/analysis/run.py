"""The whole analysis of attention against classification: from settings to one page."""

import os
import tempfile

from vac_tf.analysis.attention.run import analyze_attention
from vac_tf.analysis.comparison.average_precision_gain import (
    compare_average_precision,
    gain_correlations,
)
from vac_tf.analysis.comparison.panels_section import NO_SECOND_MODEL, analyze_panels
from vac_tf.analysis.description import describe, introduction
from vac_tf.analysis.inputs import AnalysisInputs, read_inputs
from vac_tf.analysis.localized import analyze_localization
from vac_tf.analysis.objects.clutter import map_by_object_bins, map_by_object_count
from vac_tf.analysis.objects.statistics import class_correlations, class_means, found_against_missed
from vac_tf.analysis.objects.table import (
    count_objects,
    image_size,
    object_table,
    write_object_table,
)
from vac_tf.analysis.sections import analysis_sections
from vac_tf.configs.analysis import AnalysisConfig
from vac_tf.metrics.average_precision import average_precision_per_label
from vac_tf.pages.sections import render_page
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.runs.folder import RunFolder


def analyze(config: AnalysisConfig) -> dict:
    """Analyses a model, and writes `report.html`, `analysis.json`, `objects.csv` and `figures/`.

    Args:
        config: what to analyse and against what. A part whose inputs are not given is left out;
            its entry says why in `left_out`.

    Returns:
        The contents of `analysis.json`: `about`; `objects` and `classes` (Section 3.2 of Luo et
        al., 2019), `localization`, `clutter` (5.3), `gain` (5.4), `panels` (5.5), `attention`; and
        `readings`, the sentences of the page by section.

    Raises:
        ValueError: naming what is missing, damaged or does not fit together.
    """
    folder = _claim(config)
    figures = os.path.join(folder, "figures")
    inputs = read_inputs(config)
    split, model, baseline = inputs.split, inputs.model, inputs.baseline
    object_counts = count_objects(split)
    analysis = {"about": describe(config, inputs)}

    # ---- Objects that are found and missed (Section 3.2)
    table = object_table(split, model.predicted, *_saliency_maps(inputs))
    write_object_table(os.path.join(folder, "objects.csv"), table)
    precisions = average_precision_per_label(split.labels, model.ranking)
    analysis["objects"] = found_against_missed(table)
    analysis["classes"] = class_correlations(table, precisions, split.label_names)

    # ---- Heatmaps against masks
    analysis["localization"] = analyze_localization(config, inputs)

    # ---- Clutter (Section 5.3)
    rankings = {outputs.name: outputs.ranking for outputs in (baseline, model) if outputs}
    analysis["clutter"] = map_by_object_count(split.labels, rankings, object_counts)
    analysis["clutter"]["bins"] = map_by_object_bins(split.labels, rankings, object_counts)

    # ---- What one model gains over the other (Sections 5.4 and 5.5)
    analysis["gain"] = _gain(config, inputs, class_means(table, len(split.label_names)))
    analysis["panels"] = analyze_panels(inputs, config.panels, figures)

    # ---- Heatmaps against attention
    analysis["attention"] = analyze_attention(config, inputs, object_counts, figures)

    sections = analysis_sections(analysis, figures)
    analysis["readings"] = {section.title: list(section.readings) for section in sections}
    page = render_page("Attention and classification", introduction(analysis["about"]), sections)
    write_atomically(os.path.join(folder, "report.html"), page.encode())
    RunFolder(folder).write_json("analysis.json", analysis)
    return analysis


def _claim(config: AnalysisConfig) -> str:
    """The output folder, made and found to be writable before hours of predictions."""
    folder = config.output_dir or os.path.join(config.run_dir, "analysis")
    try:
        os.makedirs(os.path.join(folder, "figures"), exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"output_dir {folder!r} cannot be written: {error.strerror}. Choose another"
            " --output_dir."
        ) from error
    return folder


def _saliency_maps(inputs: AnalysisInputs) -> tuple:
    """Predicted and true saliency as functions of the index of an image, None where absent."""
    predicted, true = None, None
    if inputs.predict_saliency is not None:
        paths = inputs.split.image_paths

        def predicted(image):
            return inputs.predict_saliency(image, *image_size(paths[image]))

    if inputs.fixations is not None:
        have_fixations = frozenset(inputs.fixations.images)

        def true(image):
            return inputs.fixations.density(image) if image in have_fixations else None

    return predicted, true


def _gain(config: AnalysisConfig, inputs: AnalysisInputs, means: dict) -> dict:
    """Differences of average precision, and what they go with."""
    model, baseline, split = inputs.model, inputs.baseline, inputs.split
    if baseline is None:
        return {"left_out": NO_SECOND_MODEL}
    comparison = compare_average_precision(
        split.labels,
        baseline.ranking,
        model.ranking,
        split.label_names,
        config.bootstrap_samples,
        config.seed,
        split.unit_numbers,
    )
    differences = {row["name"]: row["difference"] for row in comparison["labels"]}
    kind = next((name for name in ("true_saliency", "predicted_saliency") if name in means), None)
    correlations = gain_correlations(
        [differences.get(name) for name in split.label_names],
        means["size"],
        means[kind] if kind else None,
        split.label_names,
    )
    return {
        "model": model.name,
        "baseline": baseline.name,
        "comparison": comparison,
        "saliency": kind,
        "correlations": correlations,
    }

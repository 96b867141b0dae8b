"""The sections of the page: for every part of the analysis its figures and its words."""

import os
from collections.abc import Callable

from vac_tf.analysis.attention.section import attention_section, draw_attention
from vac_tf.analysis.comparison.gain_section import gain_section
from vac_tf.analysis.comparison.panels_section import panels_section
from vac_tf.analysis.objects.clutter_section import clutter_section
from vac_tf.analysis.objects.figures import (
    draw_average_precision_gain,
    draw_class_correlations,
    draw_found_against_missed,
    draw_gain_correlations,
    draw_map_by_object_count,
)
from vac_tf.analysis.objects.localization_section import localization_section
from vac_tf.analysis.objects.section import objects_section
from vac_tf.pages.sections import Section


def analysis_sections(analysis: dict, folder: str) -> list[Section]:
    """Draws every figure into a folder and puts every result into words.

    Args:
        analysis: the parts, see `vac_tf.analysis.run.analyze`.
        folder: of the figures, named `figures` beside the page.
    """

    def drawn(draw: Callable[[dict, str], None], result: dict, name: str, caption: str) -> dict:
        draw(result, os.path.join(folder, name))
        return {f"figures/{name}": caption}

    objects, classes = analysis["objects"], analysis["classes"]
    gain, attention = analysis["gain"], analysis["attention"]
    object_figures = drawn(
        draw_found_against_missed,
        objects,
        "objects.png",
        "Means of found and of missed objects, with standard errors (the paper's Figure 2).",
    ) | drawn(
        draw_class_correlations,
        classes,
        "classes.png",
        "Every label's average precision against the mean of its objects.",
    )
    clutter_figures = drawn(
        draw_map_by_object_count,
        analysis["clutter"],
        "clutter.png",
        "mAP by the number of objects, smoothed by [1/3, 1/3, 1/3], and how many images have so"
        " many (the paper's Figure 3).",
    )
    gain_figures, attention_figures = {}, {}
    if "left_out" not in gain:
        gain_figures = drawn(
            draw_average_precision_gain,
            gain["comparison"],
            "gain.png",
            "Difference of average precision of every label (the paper's Figure 4).",
        ) | drawn(
            draw_gain_correlations,
            gain["correlations"],
            "gain_correlations.png",
            "The difference against the mean size and the mean of the largest saliency of the"
            " label's objects.",
        )
    if "left_out" not in attention:
        captions = draw_attention(attention, folder)
        attention_figures = {f"figures/{name}": text for name, text in captions.items()}
    return [
        objects_section(objects, classes, object_figures),
        localization_section(analysis["localization"]),
        clutter_section(analysis["clutter"], clutter_figures),
        gain_section(gain, gain_figures),
        panels_section(analysis["panels"]),
        attention_section(attention, attention_figures),
    ]

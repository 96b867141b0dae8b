"""Validation images for the gate, made ready by the training pipeline and by the scorer."""

import dataclasses

import numpy as np

from export.building.gate.parity import InputValueError
from export.bundle.preprocessing import Preprocessing
from export.images.image_header import ImageError
from export.images.preprocessing import cut_out, resize_tolerance
from export.scoring.sources.image_file import load_input, read_image_file
from export.scoring.sources.input import ScoringInput
from vac_tf.datasets import Split
from vac_tf.datasets.packed_images import file_of, name_of, range_of
from vac_tf.inputs.image_source import ImageSettings, ImageSource


@dataclasses.dataclass(frozen=True)
class ParityImages:
    """The images of a split, made ready by the training pipeline and by the scorer.

    Attributes:
        pipeline: float32 `[N, H, W, 3]` in 0..255, from tf.data.
        scorer: The same images through the scorer's decoder.
        whole: As `pipeline`, without the boxes of the split: what `serve_bytes` sees.
        encoded: N encoded images.
        pixel_difference: Largest difference between `pipeline` and `scorer` in grey levels.
    """

    pipeline: np.ndarray
    scorer: np.ndarray
    whole: np.ndarray
    encoded: list[bytes]
    pixel_difference: float


def load_parity_images(
    split: Split, settings: ImageSettings, preprocessing: Preprocessing
) -> ParityImages:
    """Loads all images of `split` in both ways, and compares the two.

    Raises:
        ValueError: for an image that one of them cannot read; InputValueError when they differ,
            with the step at which they do.
    """
    pipeline, scorer = pipeline_images(split, settings), scorer_images(split, preprocessing)
    whole = dataclasses.replace(split, boxes=None)
    return ParityImages(
        pipeline=pipeline,
        scorer=scorer,
        whole=pipeline if split.boxes is None else pipeline_images(whole, settings),
        encoded=[read_image_file(row.path, row.member) for row in scoring_inputs(split)],
        pixel_difference=check_pixels(scorer, pipeline, split, settings, preprocessing),
    )


def pipeline_images(split: Split, settings: ImageSettings) -> np.ndarray:
    """float32 `[N, H, W, 3]` in 0..255, as training and evaluation see them."""
    source = ImageSource(split, settings)
    return np.stack([source.resized(index).numpy() for index in range(len(split))])


def scorer_images(split: Split, preprocessing: Preprocessing) -> np.ndarray:
    """float32 `[N, H, W, 3]` in 0..255, as `score.py` sees them.

    Raises:
        ImageError: for an image that cannot be read; it names the file.
    """
    in_float = dataclasses.replace(preprocessing, input_dtype="float32")
    return np.stack([_load(value, in_float) for value in scoring_inputs(split)])


def _load(scoring_input, preprocessing):
    try:
        return load_input(scoring_input, preprocessing)
    except ImageError as error:
        raise ImageError(error.status, f"{scoring_input.path!r}: {error}") from error


def scoring_inputs(split: Split) -> list[ScoringInput]:
    """The rows of a split as rows to score."""
    boxes = [None] * len(split) if split.boxes is None else map(tuple, split.boxes.tolist())
    return [
        ScoringInput(name_of(path), file_of(path), box, member=range_of(path))
        for path, box in zip(split.image_paths, boxes, strict=True)
    ]


def check_pixels(
    scorer: np.ndarray,
    pipeline: np.ndarray,
    split: Split,
    settings: ImageSettings,
    preprocessing: Preprocessing,
) -> float:
    """Compares what scorer and training pipeline make of the same files.

    Args:
        scorer: From `scorer_images`.
        pipeline: From `pipeline_images`.
        split: The rows of both.
        settings: Of the pipeline.
        preprocessing: Of the scorer.

    Returns:
        The largest difference in grey levels.

    Raises:
        InputValueError: naming the images that differ, and for the first the step.
    """
    tolerance = resize_tolerance(*[settings.image_size] * 2, settings.resize_kernel)
    differences = np.abs(scorer - pipeline).max(axis=(1, 2, 3))
    differing = np.flatnonzero(~(differences <= tolerance))
    if len(differing):
        first = differing[0]
        step = _first_different_step(split.select([first]), settings, preprocessing)
        raise InputValueError(
            f"The scorer's pixels of {len(differing)} of {len(split)} images differ from the"
            f" training pipeline's, of {split.image_paths[first]!r} by up to"
            f" {differences[first]:.4g} grey levels; allowed are {tolerance:g}. The first step that"
            f" differs is {step}."
        )
    return float(differences.max())


def _first_different_step(row, settings, preprocessing):
    """Says which step of the pre-processing of a single row gives other pixels."""
    (scoring_input,) = scoring_inputs(row)
    data = read_image_file(scoring_input.path, scoring_input.member)
    whole = dataclasses.replace(row, boxes=None)
    if _differ(ImageSource(whole, settings), cut_out(data, preprocessing)[0]):
        return "the decoding"
    if _differ(ImageSource(row, settings), cut_out(data, preprocessing, scoring_input.box)[0]):
        return "the cropping to the box"
    return (
        f"the resizing (training: {settings.resize_kernel} to {settings.image_size}x"
        f"{settings.image_size}; scorer: {preprocessing.resize_kernel} to"
        f" {preprocessing.height}x{preprocessing.width})"
    )


def _differ(source, pixels):
    expected = source.load(0).numpy()
    return expected.shape != pixels.shape or not np.array_equal(expected, pixels)

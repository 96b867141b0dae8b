"""Whether a graph is the one that its description speaks of."""

from collections.abc import Sequence
from typing import Any

from export.bundle.description import ModelDescription
from export.scoring.runtime.input_buffer import INPUT_NAME

_OUTPUTS = ("logits", "probabilities")
EMBEDDINGS = "embeddings"  # Pooled features, where the file has them.
STABILITY = "stability"  # How much views of an image agree, where the file averages views.
_MAPS = "heatmaps"  # As are trunk_heatmaps and branch_heatmaps of a dual-stream network.
_MEND = "It was altered, or put together of two files: export the run again with export_model.py."


def check_graph_fits(
    description: ModelDescription, inputs: Sequence[Any], outputs: Sequence[Any], path: str
) -> None:
    """Compares names, types and shapes of a graph with what its file says of itself.

    A dynamic axis fits any size; the number of images must be one.

    Args:
        description: What the file says.
        inputs: Inputs as ONNX Runtime gives them: `name`, `type` and `shape`.
        outputs: Outputs, likewise.
        path: The file, for messages.

    Raises:
        ValueError: at the first value that does not fit.
    """
    if [value.name for value in inputs] != [INPUT_NAME]:
        names = ", ".join(value.name for value in inputs)
        raise ValueError(f"{path!r} takes {names or 'nothing'}, expected {INPUT_NAME}. {_MEND}")
    _check_images(description, inputs[0], path)
    by_name = {value.name: value for value in outputs}
    for name in _OUTPUTS:
        if name not in by_name:
            raise ValueError(f"{path!r} has no output {name}, only {', '.join(by_name)}. {_MEND}")
    if EMBEDDINGS in by_name:
        _check_embeddings(by_name[EMBEDDINGS], path)
    if (STABILITY in by_name) != bool(description.tta):
        raise ValueError(
            f"{path!r} says {', '.join(description.tta) or 'no'} views beside the image, and its"
            f" graph has {'an' if STABILITY in by_name else 'no'} output {STABILITY}. {_MEND}"
        )
    for name, value in by_name.items():
        if name in (*_OUTPUTS, STABILITY) or name.endswith(_MAPS):
            _check_output(description, value, path)


def _check_output(description: ModelDescription, output: Any, path: str) -> None:
    labels = len(description.label_names)
    maps_axes = (None, None) if output.name.endswith(_MAPS) else ()
    if not _fits(output.shape, (None, *maps_axes, labels)):
        raise ValueError(
            f"{path!r} says {labels} labels, but its output {output.name} has the shape"
            f" {output.shape}. {_MEND}"
        )
    if output.type != "tensor(float)":
        raise ValueError(
            f"The output {output.name} of {path!r} is {output.type}, expected tensor(float)."
            f" {_MEND}"
        )


def _check_embeddings(output: Any, path: str) -> None:
    size = output.shape[1] if len(output.shape) == 2 else None
    if not isinstance(size, int) or isinstance(output.shape[0], int):
        raise ValueError(
            f"The output {output.name} of {path!r} has the shape {output.shape}, expected one row"
            f" of a fixed number of values per image. {_MEND}"
        )


def _check_images(description: ModelDescription, images: Any, path: str) -> None:
    size = description.preprocessing
    if not _fits(images.shape, (None, size.height, size.width, 3)):
        raise ValueError(
            f"{path!r} says images of {size.height}x{size.width} (height x width), but its input"
            f" {images.name} has the shape {images.shape}. {_MEND}"
        )
    expected = {"float32": "tensor(float)", "uint8": "tensor(uint8)"}[size.input_dtype]
    if images.type != expected:
        raise ValueError(
            f"{path!r} says images of {size.input_dtype}, but those that its graph takes are"
            f" {images.type}. {_MEND}"
        )


def _fits(shape: Sequence[Any], expected: Sequence[int | None]) -> bool:
    """Whether the axes agree; the first, of the images, must be dynamic: a name or None."""
    return (
        len(shape) == len(expected)
        and not isinstance(shape[0], int)
        and all(
            size is None or size == axis or not isinstance(axis, int)
            for axis, size in zip(shape, expected, strict=True)
        )
    )

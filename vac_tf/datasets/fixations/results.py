"""Result files of the SALICON challenge: one saliency map per image, as PNG in base64."""

import base64
import io
import os

import numpy as np

from vac_tf.datasets.fixations.map_image import read_map_image
from vac_tf.datasets.readers.json_file import identifier, read_annotations
from vac_tf.datasets.split import DatasetError


def read_saliency_results(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a list of `{"image_id", "saliency_map"}`.

    Returns:
        image id, as text (as `SaliencySplit.image_ids`) -> [H, W] as `read_map_image` returns it:
        of 5,000 maps of 640x480 pixels and 8 bits 1.5 GB, an eighth of what float64 would take.

    Raises:
        DatasetError: naming the row, when the file is no such list, an image is not named or listed
            twice, or a map cannot be decoded.
    """
    rows = read_annotations(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DatasetError(f"{path}: expected a list of objects with image_id and saliency_map.")
    maps: dict[str, np.ndarray] = {}
    for index, row in enumerate(rows):
        number_or_name = identifier(row.get("image_id"))
        if number_or_name is None:
            raise DatasetError(
                f"{path}, row {index}: image_id must be a number or a text that is not empty, got"
                f" {row.get('image_id')!r}."
            )
        image_id = str(number_or_name)
        if image_id in maps:
            raise DatasetError(f"{path}, row {index}: image {image_id} is listed twice.")
        try:
            contents = base64.b64decode(row["saliency_map"], validate=True)
            maps[image_id] = read_map_image(io.BytesIO(contents))
        except (KeyError, TypeError, OSError, ValueError) as error:
            raise DatasetError(
                f"{path}, row {index}: saliency_map must be a PNG in base64 ({error!r})."
            ) from error
    return maps

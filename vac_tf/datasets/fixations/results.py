"""Result files of the SALICON challenge: one saliency map per image, as PNG in base64."""

import base64
import binascii
import io
import os

import numpy as np
from PIL import Image

from vac_tf.datasets.readers.json_file import identifier, read_annotations
from vac_tf.datasets.split import DatasetError


def read_saliency_results(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads a list of `{"image_id", "saliency_map"}`.

    Returns:
        image id, as text (as `SaliencySplit.image_ids`) -> float64 [H, W] in 0..255.

    Raises:
        DatasetError: naming the row, when the file is no such list, an image is listed twice or a
            map cannot be decoded.
    """
    rows = read_annotations(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DatasetError(f"{path}: expected a list of objects with image_id and saliency_map.")
    maps: dict[str, np.ndarray] = {}
    for index, row in enumerate(rows):
        image_id = str(identifier(row.get("image_id")))
        if image_id in maps:
            raise DatasetError(f"{path}, row {index}: image {image_id} is listed twice.")
        try:
            contents = base64.b64decode(row["saliency_map"], validate=True)
            with Image.open(io.BytesIO(contents)) as image:
                maps[image_id] = np.asarray(image.convert("L"), np.float64)
        except (KeyError, TypeError, OSError, binascii.Error) as error:
            raise DatasetError(
                f"{path}, row {index}: saliency_map must be a PNG in base64 ({error!r})."
            ) from error
    return maps

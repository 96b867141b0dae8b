"""Labels and logits of every image of an evaluated split, kept in the run's folder."""

import hashlib
import io
import os

import numpy as np

from vac_tf.datasets.split import Split
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.runs.folder import RunFolder

SCORES_FILE = "scores.npz"


def save_scores(folder: RunFolder, split: Split, logits: np.ndarray) -> None:
    """Writes `scores.npz`, compressed: what `read_scores` reads.

    Logits stay float32: in float16 some would become equal, which changes average precision.

    Args:
        folder: of the run.
        split: N images, L labels.
        logits: `[N, L]` in the order of the images.
    """
    contents = io.BytesIO()
    np.savez_compressed(
        contents,
        images=np.array([os.path.basename(path) for path in split.image_paths]),
        labels=split.labels,
        label_names=np.array(split.label_names),
        logits=logits.astype(np.float32),
        units=np.unique(split.units, return_inverse=True)[1],
    )
    write_atomically(folder.file(SCORES_FILE), contents.getvalue())


def read_scores(folder: RunFolder) -> dict[str, np.ndarray]:
    """What `save_scores` wrote.

    Returns:
        `images` `[N]`, names without folders; `labels` float32 `[N, L]` with NaN where unknown;
        `label_names` `[L]`; `logits` float32 `[N, L]`; `units` int64 `[N]`, equal for examples of
        one unit (`Split.units`: of one person, say).

    Raises:
        ValueError: no such file, or a damaged one.
    """
    path = folder.file(SCORES_FILE)
    try:
        with np.load(path) as stored:
            names = ("images", "labels", "label_names", "logits", "units")
            return {name: stored[name] for name in names}
    except FileNotFoundError:
        raise ValueError(
            f"No {SCORES_FILE} in {folder.path!r}: evaluate.py writes it with --save_scores."
        ) from None
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read: {error}. Evaluate again.") from error


def images_digest(scores: dict[str, np.ndarray]) -> str:
    """A digest of images and labels: equal only where two evaluations can be compared by image."""
    digest = hashlib.sha256("\n".join(scores["images"]).encode(errors="surrogateescape"))
    digest.update("\n".join(scores["label_names"]).encode())
    digest.update(np.nan_to_num(scores["labels"], nan=-1).astype(np.int8).tobytes())
    return digest.hexdigest()

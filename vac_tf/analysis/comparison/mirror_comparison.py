"""Where several runs look in an image and in its mirror image."""

import numpy as np
import tensorflow as tf

from vac_tf.datasets.run_splits import read_run_split
from vac_tf.figures.heatmap_overlay import draw_mirror_comparison
from vac_tf.geometry.transforms import HorizontalFlip
from vac_tf.inputs.image_source import ImageSource
from vac_tf.inputs.pipeline import evaluation_batches
from vac_tf.inputs.prediction import gather_outputs
from vac_tf.inputs.settings import image_settings
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

_BATCH = 64


def compare_under_flip(
    run_dirs: dict[str, str], split_name: str, path: str, num_examples: int = 3, num_images=300
) -> None:
    """Draws the examples of a split on which the first run's heatmaps follow the flip least.

    Shown are labels that are present and that every run finds (probability above 0.5; where there
    is none, labels that are present), at most one example per label, among the first `num_images`
    images.

    Args:
        run_dirs: Name to show -> run folder; all of the same dataset and image size.
        split_name: Split that the images come from.
        path: The PNG to write.
        num_examples: Examples side by side.

    Raises:
        ValueError: a missing run, or images without any label.
    """
    folders = {name: RunFolder(run_dir) for name, run_dir in run_dirs.items()}
    first = next(iter(folders.values()))
    config = first.read_config()
    label_names = first.read_label_names()
    split = read_run_split(config, split_name).with_labels(label_names)
    split = split.select(range(min(num_images, len(split))))
    source = ImageSource(split, image_settings(config))
    images = np.concatenate(
        [x.numpy() for x, _ in evaluation_batches(source, split.labels, _BATCH)]
    )

    present = split.labels == 1
    maps, found = {}, present
    for name, folder in folders.items():
        network = load_network(folder.network_file)
        original, flipped = (_outputs(network, views) for views in (images, images[:, :, ::-1]))
        maps[name] = original["heatmaps"], flipped["heatmaps"]
        found = found & (original["logits"] > 0)
    shown = found if found.any() else present
    examples = least_consistent(*next(iter(maps.values())), shown, num_examples)
    if not examples:
        raise ValueError(f"No image of the {split_name} split has a label to show.")
    draw_mirror_comparison(
        np.stack([images[image] for image, _ in examples]),
        {name: tuple(_chosen(stack, examples) for stack in pair) for name, pair in maps.items()},
        [f"“{label_names[label].replace('_', ' ')}”" for _, label in examples],
        path,
    )


def _outputs(network, images):
    batches = tf.data.Dataset.from_tensor_slices(np.ascontiguousarray(images)).batch(_BATCH)
    pairs = ((batch, None) for batch in batches)
    return gather_outputs(network, pairs, ("heatmaps", "logits"))


def least_consistent(original, flipped, found, num_examples):
    """The maps that follow the flip least, as (image, label), one per label and per image.

    Args:
        original: float32 `[N, h, w, L]`, the heatmaps of images.
        flipped: those of their mirror images.
        found: bool `[N, L]`: what may be chosen.
        num_examples: at most so many.

    Returns:
        The pairs by falling relative inconsistency: mean squared error over the map's variance.
    """
    expected = HorizontalFlip().heatmaps(original).numpy()
    difference = np.mean((expected - flipped) ** 2, axis=(1, 2))
    relative = np.where(found, difference / np.maximum(original.var(axis=(1, 2)), 1e-12), -1.0)
    examples = []
    for flat in np.argsort(-relative, axis=None):
        image, label = (int(index) for index in np.unravel_index(flat, relative.shape))
        is_new = all(image != other[0] and label != other[1] for other in examples)
        if found[image, label] and is_new:
            examples.append((image, label))
        if len(examples) == num_examples:
            break
    return examples


def _chosen(stack, examples):
    return np.stack([stack[image, :, :, label] for image, label in examples])

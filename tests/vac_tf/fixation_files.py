"""Small data sets of fixations on disk, in both of SALICON's layouts."""

import json

import numpy as np
from PIL import Image
from scipy.io import savemat

HEIGHT, WIDTH = 48, 64


def write_image(path, height=HEIGHT, width=WIDTH, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_json(folder, looks, split="train", height=HEIGHT, width=WIDTH, images=None):
    """Writes `fixations_SPLIT.json` and images.

    Args:
        folder: folder of the data set.
        looks: rows of (image number, worker, 1-based [row, column] fixations).
        split: name of the split.
        height: of the images.
        width: of the images.
        images: numbers of the images; default: those of `looks`.
    """
    numbers = sorted({number for number, _, _ in looks}) if images is None else images
    content = {
        "images": [
            {"id": n, "file_name": f"{n:04d}.png", "height": height, "width": width}
            for n in numbers
        ],
        "annotations": [
            {"id": i, "image_id": number, "worker_id": worker, "fixations": fixations}
            for i, (number, worker, fixations) in enumerate(looks)
        ],
    }
    for number in numbers:
        write_image(folder / "images" / f"{number:04d}.png", height, width, seed=number)
    path = folder / f"fixations_{split}.json"
    path.write_text(json.dumps(content))
    return path


def random_looks(num_images, num_workers=4, height=HEIGHT, width=WIDTH, seed=0):
    """Looks around one point of each image, and some anywhere."""
    generator = np.random.default_rng(seed)
    looks = []
    for image in range(num_images):
        centre = generator.uniform((8, 8), (height - 8, width - 8))
        for worker in range(num_workers):
            near = generator.normal(centre, 4, (5, 2))
            points = np.r_[near, generator.uniform((0, 0), (height, width), (2, 2))]
            points = np.clip(points, 0, (height - 1, width - 1)).astype(int) + 1
            looks.append((image, worker, points.tolist()))
    return looks


def write_release(folder, looks, split="train", map_pixels=None, map_size=(HEIGHT, WIDTH)):
    """Writes the layout of 2017; `looks` as for `write_json`, turned into [x, y] here."""
    for number in sorted({number for number, _, _ in looks}):
        name = f"COCO_train2014_{number:012d}"
        write_image(folder / "images" / split / f"{name}.jpg", seed=number)
        fixations = [np.array(f).reshape(-1, 2)[:, ::-1] for n, _, f in looks if n == number]
        gaze = np.zeros((len(fixations), 1), [("location", object), ("fixations", object)])
        for row, points in enumerate(fixations):
            # Raw gaze, of another length and elsewhere: it must not be read.
            gaze[row, 0] = (np.ones((9, 2)), points.astype(np.uint16))
        for part in ("fixations", "maps"):
            (folder / part / split).mkdir(parents=True, exist_ok=True)
        content = {"image": name, "resolution": [[HEIGHT, WIDTH]], "gaze": gaze}
        savemat(folder / "fixations" / split / f"{name}.mat", content)
        pixels = np.full(map_size, 7, np.uint8) if map_pixels is None else map_pixels
        Image.fromarray(pixels).save(folder / "maps" / split / f"{name}.png")

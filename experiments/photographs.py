"""Where two networks look in photographs and in their mirror images: the picture of README.md.

    python -m experiments.photographs --runs=baseline=runs/two_views,consistent=runs/acf \
        --photographs=FOLDER --output=docs/photographs.png

Chosen are, of all photographs and the labels that all networks give at least a probability there,
those whose heatmaps of the first network follow the mirror image least, each label and photograph
once. Prints them.
"""

import os

import numpy as np
from absl import app
from absl import flags as absl_flags
from PIL import Image

import vac_tf
from vac_tf.analysis.comparison.mirror_comparison import least_consistent
from vac_tf.figures.heatmap_overlay import draw_mirror_comparison

FLAGS = absl_flags.FLAGS
_SUFFIXES = (".jpg", ".jpeg", ".png")
_SIDE = 320


def photographs(folder: str) -> list[str]:
    """The image files of a folder, sorted."""
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(_SUFFIXES))
    if not names:
        raise app.UsageError(f"{folder} has no image ({', '.join(_SUFFIXES)}).")
    return [os.path.join(folder, name) for name in names]


def shown(path: str) -> np.ndarray:
    """uint8 `[_SIDE, _SIDE, 3]`: a photograph squeezed to a square, as the networks see it."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS))


def main(_) -> None:
    runs = dict(item.split("=", 1) for item in FLAGS.runs)
    paths = photographs(FLAGS.photographs)
    images = [shown(path) for path in paths]
    mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
    maps, decided, names = {}, True, ()
    for name, run_dir in runs.items():
        model = vac_tf.load(run_dir)
        results, names = model(images), model.label_names
        maps[name] = [np.stack([r.heatmaps for r in each]) for each in (results, model(mirrored))]
        probabilities = np.array([list(r.probabilities.values()) for r in results])
        decided = decided & (probabilities > FLAGS.probability)
    chosen = least_consistent(*next(iter(maps.values())), decided, FLAGS.count)
    for image, label in chosen:
        print(f"{paths[image]}: {names[label]}")
    images_chosen, labels_chosen = np.array(chosen).T
    heatmaps = {
        name: tuple(stack[images_chosen, :, :, labels_chosen] for stack in pair)
        for name, pair in maps.items()
    }
    captions = [f"“{names[label]}”" for _, label in chosen]
    shown_images = np.stack([images[image] for image, _ in chosen])
    draw_mirror_comparison(shown_images, heatmaps, captions, FLAGS.output)


if __name__ == "__main__":
    absl_flags.DEFINE_list("runs", None, "NAME=RUN_DIR of two networks or more.", required=True)
    absl_flags.DEFINE_string("photographs", None, "Folder of photographs.", required=True)
    absl_flags.DEFINE_string("output", "photographs.png", "The picture to write.")
    absl_flags.DEFINE_float("probability", 0.9, "What all networks give the labels shown at least.")
    absl_flags.DEFINE_integer("count", 3, "Photographs in it.")
    app.run(main)

"""Commands in the documentation, run word by word on tiny data; added flags only shrink them."""

import csv
import json
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

from tests.programs.warm_start import start_warm
from tools.python_imports import REPOSITORY

TINY = ("--epochs=1", "--batch_size=4", "--max_images=40")
TINY_NETWORK = ("--backbone=small", "--backbone_weights=none", "--precision=float32")
ANY_DRIFT = "probability:1,mean_probability:1,decisions:1,label_decisions:1,mAP:1,mA:1,F1:1"
ANY_DRIFT += ",heatmaps:0"
SHRUNK = {
    # An untrained network and a handful of images: INT8 may change any decision.
    "export_model.py": ("--calibration_images=8", f"--int8_budget={ANY_DRIFT}"),
    "train.py": (*TINY, *TINY_NETWORK, "--image_size=48"),
    "train_saliency.py": (*TINY, "--image_size=48"),
    "analyze.py": ("--bootstrap_samples=10",),
}
# The first imports no TensorFlow; the second is started plainly by no other test.
_PLAIN = ("score.py", "train_saliency.py")
TINY_SCENES = ("--scenes_train_images=12", "--scenes_image_size=48", "--data_dir=data/scenes")


def page(name):
    """The text of README.md or of a page of docs/."""
    return (REPOSITORY / name).read_text(encoding="utf-8")


def commands(name):
    """The commands in the blocks of a page, each as a list of words."""
    blocks = re.findall(r"```bash\n(.*?)```", page(name), flags=re.DOTALL)
    return [line.split() for block in blocks for line in block.splitlines() if line.strip()]


def run_commands(name, folder, done=()):
    """Runs the commands of a page in order, in `folder`.

    Args:
        name: Of the page.
        folder: Where they run, one after the other.
        done: Commands that ran there before for other pages: each stands for one of this page.
    """
    done = list(done)
    assert commands(name)
    for command in commands(name):
        if command in done:
            done.remove(command)
        else:
            _run(command, folder)


def _run(command, folder):
    python, program, *arguments = command
    assert python == "python"
    shrink = SHRUNK.get(program, ())
    if "--folds=5" in arguments:
        shrink = (*shrink, "--folds=2")
    if "--tune_thresholds" in arguments:
        shrink = (*shrink, "--threshold_folds=2")  # A tenth of the images of runs/mine is four.
    if any("scale:" in argument for argument in arguments):
        shrink = (*shrink, "--transforms=hflip,scale:32")
    on_scenes = not any(flag.startswith(("--dataset", "--flagfile")) for flag in arguments)
    if program in ("train.py", "train_saliency.py") and on_scenes:
        shrink = (*shrink, *TINY_SCENES)
    if program in _PLAIN:
        plain = [sys.executable, str(REPOSITORY / program), *arguments, *shrink]
        subprocess.run(plain, cwd=folder, check=True)
        return
    process = start_warm(program, *arguments, *shrink, folder=folder)
    assert process.returncode == 0, process.stderr


def run_example(name, folder):
    """The Python examples of a page as one program, and the lines that it prints."""
    examples = re.findall(r"```python\n(.*?)```", page(name), flags=re.DOTALL)
    assert examples
    example = "\n".join(examples)
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(example)
        script.flush()
        result = start_warm(script.name, folder=folder)
    assert result.returncode == 0, result.stderr
    return example, result.stdout.strip().splitlines()


def write_data(folder):
    """A table, COCO, WIDER and photographs, all of noise, in the folders that the pages name."""
    os.symlink(REPOSITORY / "flags", folder / "flags")
    generator = np.random.default_rng(0)

    def image(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 255, (40, 48, 3), "uint8")).save(path)

    for split, count in (("train", 40), ("test", 6)):
        with open(_made(folder / f"data/mine/{split}.csv"), "w", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["image", "cat", "dog"])
            for number in range(count):
                image(folder / f"data/mine/{split}/{number}.jpg")
                table.writerow([f"{split}/{number}.jpg", number % 2, (number + 1) % 2])
        if split == "train":
            rows = [f"train/{number}.jpg,{number // 2}" for number in range(count)]
            (folder / "data/mine/people.csv").write_text("\n".join(["image,person", *rows]))
    for split in ("train", "val"):
        _write_coco(folder / "data/coco", split, image)
    for part in ("trainval", "test"):
        _write_wider(folder / "data/wider", part, image)
    for number in range(3):
        image(folder / f"photos/{number}.jpg")


def _write_coco(folder, split, image):
    images = [{"id": n, "file_name": f"{n:012d}.jpg", "height": 40, "width": 48} for n in range(40)]
    for entry in images:
        image(folder / f"{split}2017" / entry["file_name"])
    box = {"bbox": [4, 4, 10, 10], "segmentation": [[4, 4, 14, 4, 14, 14]], "area": 50}
    annotations = [
        {"id": n, "image_id": n, "category_id": 1 + n % 2, "iscrowd": 0, **box} for n in range(40)
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    _made(folder / f"annotations/instances_{split}2017.json").write_text(json.dumps(content))


def _write_wider(folder, part, image):
    images = []
    for number in range(40):
        name = f"{'train' if part == 'trainval' else 'test'}/0--Parade/{number}.jpg"
        image(folder / "Image" / name)
        attribute = [1, -1] if number % 2 else [-1, 1]
        target = {"attribute": attribute, "bbox": [2.0, 2.0, 20.0, 30.0]}
        images.append({"file_name": name, "scene_id": 0, "targets": [target]})
    content = {
        "images": images,
        "attribute_id_map": {"0": "Male", "1": "longHair"},
        "scene_id_map": {"0": "Parade"},
    }
    _made(folder / f"wider_attribute_{part}.json").write_text(json.dumps(content))


def _made(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path

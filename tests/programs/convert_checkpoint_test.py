"""A published checkpoint, from PyTorch's file to scores: the programs as a user starts them."""

import json
import os
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from tools.python_imports import REPOSITORY

LABELS = ("hat", "bag", "skirt", "boots", "child")
# Saves a checkpoint in the layout of its authors, images `[B, H, W, 3]`, logits and heatmaps.
PYTORCH = """
import sys
import numpy as np
import torch
from torch import nn
from benchmarks.pytorch_peer.resnet import ResNet

layout, folder = sys.argv[1:]
torch.manual_seed(0)
network = ResNet("resnet50_v1_5", 5)
head = nn.Sequential(network.fc, nn.BatchNorm1d(5))
for module in (*network.modules(), *head):
    if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
        for vector in (module.weight.data, module.running_var):
            vector.uniform_(0.5, 1.5)
        for vector in (module.bias.data, module.running_mean):
            vector.normal_(0, 0.1)
network.eval()
head.eval()
state = network.state_dict()
if layout == "vac":
    state = {name.replace("fc.", "fc_all."): value for name, value in state.items()}
    head, content = head[0], state
else:
    state = {f"module.backbone.{name}": value for name, value in state.items() if "fc." not in name}
    begin = "module.classifier.logits."
    state |= {begin + name: value for name, value in head.state_dict().items()}
    content = {"state_dicts": state, "epoch": "now in epoch 7", "metric": np.float64(0.5)}
torch.save(content, f"{folder}/published.pth")
images = torch.rand(3, 3, 64, 64) * 255
with torch.no_grad():
    features = network.features(network.normalize(images))
    logits = head(features.mean((2, 3)))
np.savez(f"{folder}/known.npz", images=images.permute(0, 2, 3, 1).numpy(), logits=logits.numpy())
"""


def start(program, *arguments):
    return subprocess.run(
        [sys.executable, program, *arguments], cwd=REPOSITORY, capture_output=True, text=True
    )


def test_what_is_missing_is_said():
    done = start("convert_checkpoint.py", "--checkpoint=release.pth", "--run_dir=run")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("labels is needed: Text file with the names of the labels")


def test_help_shows_its_flags_and_those_of_a_recipe():
    done = start("convert_checkpoint.py", "--help")
    for flag in ("--checkpoint", "--layout: <vac|rethinking_of_par|torchvision>", "--labels"):
        assert flag in done.stdout
    assert "--image_size" in done.stdout and "--flagfile=flags/recipes/" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["vac", "rethinking_of_par"])
def test_what_is_exported_equals_pytorch(layout, tmp_path):
    python = os.environ.get("VAC_TORCH_PYTHON")
    if not python:
        pytest.skip("VAC_TORCH_PYTHON names no interpreter that has PyTorch and NumPy")
    subprocess.run([python, "-c", PYTORCH, layout, tmp_path], cwd=REPOSITORY, check=True)
    with np.load(tmp_path / "known.npz") as known:
        images, expected = known["images"], known["logits"]
    _write_table(tmp_path, images)
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    flags = ("--dataset=table", f"--data_dir={tmp_path}", "--image_size=64")
    flags += ("--backbone=resnet50_v1_5", f"--layout={layout}", f"--labels={tmp_path}/labels.txt")
    run, bundle = f"--run_dir={tmp_path}/run", tmp_path / "bundle"
    _succeed("convert_checkpoint.py", f"--checkpoint={tmp_path}/published.pth", run, *flags)
    _succeed("evaluate.py", run)
    _succeed("export_model.py", run, f"--bundle_dir={bundle}")
    session = onnxruntime.InferenceSession(f"{bundle}/model.onnx")
    (logits,) = session.run(["logits"], {"images": images})
    assert expected.std() > 0.01
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    scores = tmp_path / "scores.csv"
    _succeed(
        "score.py", f"--model={bundle}/model.onnx", f"--images={tmp_path}", f"--output={scores}"
    )
    assert scores.read_text().startswith("image,status,error," + ",".join(LABELS))
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert evaluation["conventions"]["selected_weights"] == "published"


def _succeed(program, *arguments):
    done = start(program, *arguments)
    assert done.returncode == 0, done.stderr


def _write_table(folder, images):
    for split in ("train", "val", "test"):
        rows = ["image," + ",".join(LABELS)]
        for number, image in enumerate(images):
            name = f"{split}_{number}.png"
            Image.fromarray(image.astype("uint8")).save(folder / name)
            rows.append(",".join((name, *(str((number + k) % 2) for k in range(len(LABELS))))))
        (folder / f"{split}.csv").write_text("\n".join(rows) + "\n")

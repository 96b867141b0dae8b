"""The benchmark of the training step: ours on a tiny network, and what it says without PyTorch."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.our_step import peer_name
from benchmarks.told_steps import Stepper, StepSettings
from benchmarks.train_step import take_turns
from tools.python_imports import REPOSITORY

TOLD = """
from benchmarks.told_steps import ToldSteps
told, number = ToldSteps(lambda: 7.5), 1
while told.go_on(0.5 * number):
    number += 1
print(number)
"""


def run(*flags):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.train_step", *flags],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )


def test_our_step_alone():
    small = ("--backbone=small", "--image_size=32", "--scaled_size=16", "--batch_size=2")
    done = run("--peer=none", *small, "--rounds=2", "--precision=bfloat16")
    assert done.returncode == 0, done.stderr
    title, _, _, row = done.stdout.splitlines()
    assert title == "bfloat16, small, batch 2"
    figures = re.match(
        r"\| ours \| (\S+) \| 1.00 \(1.00 to 1.00\) \| (\S+) \| (\d+) \| (\S+) \|$", row
    )
    assert all(float(figure) > 0.0 for figure in figures.groups())


def test_missing_pytorch_is_said(tmp_path):
    missing = str(tmp_path / "python")
    done = run(f"--torch_python={missing}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith(f"PyTorch is missing: {missing!r} cannot import")
    assert "requirements-benchmarks.txt" in done.stderr and "--peer=none" in done.stderr


def test_processes_step_in_turn_and_only_when_told(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    steppers = [Stepper(name, [sys.executable, "-c", TOLD]) for name in ("ours", "peer")]
    assert [stepper.first["loss"] for stepper in steppers] == [0.5, 0.5]
    seconds = take_turns(steppers, steps=3, rounds=2)
    assert {name: len(values) for name, values in seconds.items()} == {"ours": 2, "peer": 2}
    assert all(stepper.peak == 7.5 for stepper in steppers)
    for stepper in steppers:
        rest = stepper._process.communicate()[0]
        assert int(rest) == 1 + 3 * 3
        stepper.end()


@pytest.mark.parametrize(
    ("backbone", "layer", "expected"),
    [
        ("resnet50", "conv1_conv", "conv1"),
        ("resnet50", "conv1_bn", "bn1"),
        ("resnet50", "conv3_block1_0_bn", "layer2.0.downsample.1"),
        ("resnet101", "conv4_block23_2_conv", "layer3.22.conv2"),
        ("resnet50_v1_5", "stage3_block0_shortcut", "layer3.0.downsample.0"),
        ("small", "stage0_block0_conv0", "stage0_block0_conv0"),
        ("small", "cam_head", "fc"),
    ],
)
def test_layers_have_the_names_of_the_peer(backbone, layer, expected):
    assert peer_name(backbone, layer) == expected


def test_a_process_that_fails_is_named():
    with pytest.raises(RuntimeError, match="peer ended with exit code 3"):
        Stepper("peer", [sys.executable, "-c", "raise SystemExit(3)"])


def test_settings_pass_through_a_command_line():
    settings = StepSettings("a b.npz", "resnet50", "float32", 2, 64, 32, 5, False)
    text = settings.to_argument()
    assert StepSettings.from_argument(text) == settings
    assert np.isclose(json.loads(text)["weight_decay"], 5e-4)

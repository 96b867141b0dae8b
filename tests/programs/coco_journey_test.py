"""All four programs on real photographs: COCO128, the small network and ResNet-50."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from tools.python_imports import REPOSITORY

ROOT = REPOSITORY


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("backbone", ["small", "resnet50"])
def test_train_evaluate_export_score(real_data, tmp_path, backbone):
    data_dir = real_data("coco128")
    run_dir, bundle, scores = (str(tmp_path / name) for name in ("run", "bundle", "s.parquet"))
    shared = ("--dataset=coco", f"--data_dir={data_dir}", "--transforms=hflip", "--image_size=96")
    _program("train.py", f"--run_dir={run_dir}", *shared, "--epochs=2", f"--backbone={backbone}")
    _program("evaluate.py", f"--run_dir={run_dir}", "--split=val")
    _program("export_model.py", f"--run_dir={run_dir}", f"--bundle_dir={bundle}")
    _program(
        "score.py",
        f"--model={bundle}/model.onnx",
        f"--images={data_dir}",
        f"--output={scores}",
        "--strict",
    )

    evaluation = json.loads((tmp_path / "run/evaluation.json").read_text())
    assert evaluation["conventions"]["split"] == "val"
    rows = pyarrow.parquet.read_table(scores).to_pylist()
    label_names, expected = _keras_probabilities(tmp_path / "run")
    assert len(rows) == len(expected) == 128 and len(label_names) == 80
    for row in rows:
        probabilities = expected[Path(row["image"]).name]
        np.testing.assert_allclose([row[name] for name in label_names], probabilities, atol=1e-4)
        decided = [n for n, p in zip(label_names, probabilities, strict=True) if p > 0.5]
        assert row["decisions"] == decided


def _program(program, *arguments):
    subprocess.run([sys.executable, ROOT / program, *arguments], cwd=ROOT, check=True)


def _keras_probabilities(run_dir):
    """Label names, and file name -> probabilities `[L]` of the run's network on both splits."""
    from vac_tf.datasets.run_splits import read_run_split
    from vac_tf.inputs.image_source import ImageSource
    from vac_tf.inputs.pipeline import evaluation_batches
    from vac_tf.inputs.prediction import predict
    from vac_tf.inputs.settings import image_settings
    from vac_tf.models.saving import load_network
    from vac_tf.runs.folder import RunFolder

    folder = RunFolder(str(run_dir))
    config = folder.read_config()
    label_names = folder.read_json("labels.json")["label_names"]
    network = load_network(folder.network_file)
    probabilities = {}
    for name in ("train", "val"):
        split = read_run_split(config, name).with_labels(label_names)
        source = ImageSource(split, image_settings(config))
        _, logits = predict(network, evaluation_batches(source, split.labels, 32))
        names = [Path(path).name for path in split.image_paths]
        probabilities |= dict(zip(names, 1 / (1 + np.exp(-logits)), strict=True))
    return label_names, probabilities

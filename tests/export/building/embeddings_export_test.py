"""The pooled features as an output of the exported network."""

import keras
import numpy as np
import pytest

from export.building.config import ExportConfig
from export.building.exporter import export_run
from export.building.serving_network import InferenceNetwork
from export.bundle.preprocessing import Preprocessing
from export.scoring.config import ScoringConfig
from export.scoring.job import score
from tests.export.building.tiny_run import LABELS, SIZE, tiny_network
from tests.export.onnx_models import random_images
from tests.vac_tf.models.dual_stream_test import stream
from vac_tf.models import build_dual_stream


def test_logits_are_a_layer_on_the_embeddings():
    network = tiny_network()
    preprocessing = Preprocessing(SIZE, SIZE)
    inference = InferenceNetwork(network, preprocessing, gives_embeddings=True)
    images = random_images(3, SIZE)
    outputs = {name: np.asarray(value) for name, value in inference.predict(images).items()}
    assert set(outputs) == {"logits", "probabilities", "heatmaps", "embeddings"}
    head = network.get_layer("cam_head")
    kernel, bias = np.asarray(head.kernel), np.asarray(head.bias)
    np.testing.assert_allclose(outputs["embeddings"] @ kernel + bias, outputs["logits"], atol=1e-4)
    plain = InferenceNetwork(network, preprocessing).predict(images)
    assert set(plain) == {"logits", "probabilities", "heatmaps"}
    np.testing.assert_array_equal(plain["logits"], outputs["logits"])


def test_those_of_a_dual_stream_network_are_of_both_streams():
    network = build_dual_stream(stream(5, 8), stream(7, 16), len(LABELS))
    inference = InferenceNetwork(network, Preprocessing(32, 32), gives_embeddings=True)
    outputs = inference.predict(random_images(2, 32))
    assert tuple(outputs["embeddings"].shape) == (2, 12) and inference.embedding_size == 12


def test_a_network_of_another_head_is_refused():
    images = keras.Input((SIZE, SIZE, 3))
    maps = keras.layers.Conv2D(3, 16, strides=16)(images)
    logits = keras.layers.GlobalAveragePooling2D()(maps)
    network = keras.Model(images, {"logits": logits, "heatmaps": maps})
    with pytest.raises(ValueError, match="no layer 'cam_head'.*export without embeddings"):
        InferenceNetwork(network, Preprocessing(SIZE, SIZE), gives_embeddings=True)


@pytest.mark.slow
def test_every_precision_has_them_and_the_scorer_writes_them(run, data_dir, tmp_path):
    from pyarrow import parquet

    bundle = tmp_path / "bundle"
    loose = "decisions:1,label_decisions:1,probability:1,mean_probability:1,mAP:1,mA:1,F1:1"
    loose += ",heatmaps:0"
    export_run(
        ExportConfig(
            run_dir=run.path,
            bundle_dir=str(bundle),
            precisions="fp32,fp16,int8",
            fp16_budget=loose,
            int8_budget=loose,
            embeddings=True,
        )
    )
    embeddings = {}
    for name in ("model", "model_fp16", "model_int8"):
        output = tmp_path / f"{name}.parquet"
        score(
            ScoringConfig(
                model=str(bundle / f"{name}.onnx"),
                images=str(data_dir),
                output=str(output),
                embeddings=True,
            )
        )
        rows = parquet.read_table(output).to_pylist()
        embeddings[name] = np.array([row["embedding"] for row in rows])
        assert all(set(LABELS) <= set(row) for row in rows)
    exact = embeddings["model"]
    assert exact.shape[0] == 22 and exact.std() > 0.0
    for name, relative in (("model_fp16", 0.01), ("model_int8", 0.3)):
        assert np.abs(embeddings[name] - exact).max() < relative * np.abs(exact).max()

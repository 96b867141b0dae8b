"""Model files that ask for more than a network may: refused, with the file's name, nothing read."""

import onnx
import pytest
from onnx import TensorProto, helper

from export import scoring
from tests.export.onnx_models import write_channel_mean_model

SECRET = b"\x00\x00\x00\x42"  # 32.0, outside of the model's folder


def changed(path, change):
    """The model of `write_channel_mean_model` with something else in it."""
    write_channel_mean_model(path)
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("place", ["../secret.bin", "absolute"])
def test_weights_outside_of_the_folder_are_not_read(tmp_path, place):
    (tmp_path / "secret.bin").write_bytes(SECRET)
    folder = tmp_path / "bundle"
    folder.mkdir()
    location = str(tmp_path / "secret.bin") if place == "absolute" else place

    def refer(model):
        (scale,) = (each for each in model.graph.initializer if each.name == "scale")
        scale.ClearField("float_data")
        scale.ClearField("raw_data")
        scale.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "4")):
            entry = scale.external_data.add()
            entry.key, entry.value = key, value

    path = changed(folder / "model.onnx", refer)
    with pytest.raises(ValueError, match=r"cannot open .*model\.onnx"):
        scoring.load(path)


def test_operators_of_ones_own_are_not_loaded(tmp_path):
    def add(model):
        model.graph.node.append(helper.make_node("Run", ["images"], ["ran"], domain="evil"))
        model.graph.output.append(helper.make_tensor_value_info("ran", TensorProto.FLOAT, None))
        model.opset_import.append(helper.make_opsetid("evil", 1))

    path = changed(tmp_path / "model.onnx", add)
    with pytest.raises(ValueError, match=r"cannot open .*model\.onnx.*evil"):
        scoring.load(path)


def test_a_description_of_many_megabytes_is_refused_by_its_contents(tmp_path):
    def grow(model):
        for entry in model.metadata_props:
            if entry.key.endswith("label_names"):
                entry.value = '["' + "a" * 50_000_000 + '"]'

    path = changed(tmp_path / "model.onnx", grow)
    with pytest.raises(ValueError, match=r"model\.onnx"):
        scoring.load(path)

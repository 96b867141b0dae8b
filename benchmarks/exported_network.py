"""A network with random weights and its exported file: speed does not depend on the weights."""

import os

from export.bundle.description import ONNX_FILE, ModelDescription
from export.bundle.preprocessing import Preprocessing

_LABELS = 80
_OPSET = 18


def export_network(folder: str, backbone: str, image_size: int) -> tuple[str, str]:
    """Paths of the ONNX file and of the Keras network; made where they are not there yet.

    Takes about a minute for `resnet50`.

    Args:
        folder: Where they are kept, below a folder of their own.
        backbone: Name of the backbone.
        image_size: Height and width of the input in pixels.
    """
    folder = os.path.join(folder, f"{backbone}_{image_size}")
    os.makedirs(folder, exist_ok=True)
    onnx_file, keras_file = (os.path.join(folder, n) for n in (ONNX_FILE, "network.keras"))
    if not (os.path.exists(onnx_file) and os.path.exists(keras_file)):
        _export(backbone, image_size, onnx_file, keras_file)
    return onnx_file, keras_file


def _export(backbone, image_size, onnx_file, keras_file):
    # Imported here: what scores a network that is there already needs no TensorFlow.
    import keras

    from export.building.conversion.onnx_writer import write_onnx
    from export.building.serving_network import InferenceNetwork
    from vac_tf.models import build_classifier
    from vac_tf.models.saving import save_network

    keras.utils.set_random_seed(0)
    network = build_classifier(backbone, _LABELS, image_size)
    labels = tuple(f"label {number}" for number in range(_LABELS))
    preprocessing = Preprocessing(image_size, image_size)
    description = ModelDescription(labels, (0.5,) * _LABELS, preprocessing)
    save_network(network, keras_file)
    inference = InferenceNetwork(network, description.preprocessing)
    write_onnx(onnx_file, inference, description, _OPSET)

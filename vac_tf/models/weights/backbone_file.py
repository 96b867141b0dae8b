"""The weights of a backbone from a file: its own, that of a run that has it, or PyTorch's."""

import os
import zipfile

import keras

from vac_tf.models.saving import load_network
from vac_tf.models.weights.torch_backbone import TorchWeights, load_torch_weights

_OF_KERAS = (".keras", ".h5")


def check_weights_file(path: str, published: TorchWeights | None = None) -> None:
    """Raises ValueError where there is no file (of one with `published` weights, or folder)."""
    if not (os.path.isfile(path) or (published and os.path.isdir(path))):
        expected = "Expected 'imagenet', 'none' or the path of a .keras or .weights.h5 file."
        advice = published.advice if published else expected
        raise ValueError(f"Backbone weights {path!r} not found. {advice}")


def load_backbone_weights(
    features: keras.Model, name: str, path: str, published: TorchWeights | None = None
) -> None:
    """Gives a backbone the weights in a file.

    Args:
        features: the backbone.
        name: of the backbone, for errors.
        path: a `.weights.h5` or `.keras` file of this backbone, or the network.keras of a run of a
            classifier or a saliency network with this backbone; or, of one that has `published`
            weights, a `.pth` or `.safetensors` file or a folder of timm's.
        published: what PyTorch's libraries publish for it.

    Raises:
        ValueError: the file is missing, or its weights do not fit.
    """
    check_weights_file(path, published)
    bodies = _bodies(path) if path.endswith(".keras") else []
    if len(bodies) > 1:
        raise ValueError(
            f"The network in {path!r} has two streams; give the network of one of them, such as"
            " that of the folder phase_1a beside it."
        )
    try:
        if published and not path.endswith(_OF_KERAS):
            load_torch_weights(features, path, published)
        elif bodies:
            _copy_weights(bodies[0], features)
        else:
            features.load_weights(path)
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"The weights in {path!r} do not fit backbone {name!r}: {error}"
        ) from error


def _bodies(path):
    """The backbones inside the network of a run; none when the file holds something else."""
    try:
        network = load_network(path)
    except ValueError:
        return []  # Loading the weights says what is wrong with the file.
    # Blocks of some backbones (ConvNeXt) are models as well: sequential ones.
    return [
        layer
        for layer in network.layers
        if isinstance(layer, keras.Model) and not isinstance(layer, keras.Sequential)
    ]


def _copy_weights(body, features):
    theirs, ours = ([weight.shape for weight in each.weights] for each in (body, features))
    if theirs != ours:
        raise ValueError(
            f"it holds the network of a run with backbone {body.name!r}, whose {len(theirs)}"
            f" weights have other shapes than the {len(ours)} here."
        )
    features.set_weights(body.get_weights())

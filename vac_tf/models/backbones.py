"""Backbones by name: Keras applications with their own normalisation, and networks of ours.

`resnet50` is Keras's (v1, BGR means),
`resnet50_v1_5` PyTorch's (RGB mean and standard deviation), which the papers' authors used.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import keras

from vac_tf.configs.fields import GIVEN
from vac_tf.models.architectures.efficientnet_lite import efficientnet_lite
from vac_tf.models.architectures.hub import STRIDE, check_hub, hub_network, hub_normalization
from vac_tf.models.architectures.keras_file import (
    as_features,
    image_side,
    read_features,
    scales_images,
)
from vac_tf.models.architectures.resnet_v1_5 import (
    resnet50_v1_5,
    resnet101_v1_5,
    torch_name,
)
from vac_tf.models.architectures.small import small_network
from vac_tf.models.computation.rebuilding import rebuild_network
from vac_tf.models.normalization import (
    CAFFE,
    EFFICIENTNET_LITE,
    EFFICIENTNET_V2,
    IMAGENET_MEAN,
    IMAGENET_STD,
    MINUS_ONE_TO_ONE,
    NORMALIZATIONS,
    TORCH,
)
from vac_tf.models.stride import find_stride
from vac_tf.models.weights.backbone_file import check_weights_file, load_backbone_weights
from vac_tf.models.weights.efficientnet_lite import imagenet_weights_file
from vac_tf.models.weights.torch_backbone import TorchWeights

_OF_A_FILE = "keras:"


@dataclasses.dataclass(frozen=True)
class Backbone:
    """How one backbone is built.

    `stride` is the nominal one: pixels of the image per heatmap cell (None: `get_backbone` finds
    it). `has_imagenet_weights` says whether such weights are published for it, and
    `find_imagenet_weights` raises ValueError where they are not installed; without it Keras
    downloads them. `torch_weights` are those that
    PyTorch's libraries publish as files; `image_size` the only size that it takes (None: any).
    """

    build: object
    normalization: Callable[[object], object]
    stride: int | None = 32
    options: tuple[tuple[str, object], ...] = ()
    has_imagenet_weights: bool = True
    find_imagenet_weights: Callable[[], object] | None = None
    torch_weights: TorchWeights | None = None
    image_size: int | None = None


def _efficientnet_lite(variant):
    return Backbone(
        partial(efficientnet_lite, variant),
        EFFICIENTNET_LITE,
        find_imagenet_weights=partial(imagenet_weights_file, variant),
    )


def _resnet_v1_5(build, file, newer_file, folder):
    advice = (
        f"Get torchvision's: curl --create-dirs -o weights/{file}"
        f" https://download.pytorch.org/models/{file}\nand give --backbone_weights=weights/{file}."
        f" {newer_file} (IMAGENET1K_V2) fits too, as does a folder with config.json and"
        f" model.safetensors of huggingface.co/timm/{folder}."
    )
    published = TorchWeights(torch_name, "fc.", (IMAGENET_MEAN, IMAGENET_STD), advice)
    return Backbone(build, TORCH, has_imagenet_weights=False, torch_weights=published)


_NO_PREPROCESSING = (("include_preprocessing", False),)
_APPLICATIONS = keras.applications
_HUB = "hub:"

BACKBONES = {
    "small": Backbone(small_network, TORCH, stride=16, has_imagenet_weights=False),
    "resnet50": Backbone(_APPLICATIONS.ResNet50, CAFFE),
    "resnet101": Backbone(_APPLICATIONS.ResNet101, CAFFE),
    "resnet152": Backbone(_APPLICATIONS.ResNet152, CAFFE),
    "resnet50_v1_5": _resnet_v1_5(
        resnet50_v1_5, "resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth", "resnet50.tv_in1k"
    ),
    "resnet101_v1_5": _resnet_v1_5(
        resnet101_v1_5, "resnet101-63fe2227.pth", "resnet101-cd907fc2.pth", "resnet101.tv_in1k"
    ),
    "resnet50v2": Backbone(_APPLICATIONS.ResNet50V2, MINUS_ONE_TO_ONE),
    "resnet101v2": Backbone(_APPLICATIONS.ResNet101V2, MINUS_ONE_TO_ONE),
    "resnet152v2": Backbone(_APPLICATIONS.ResNet152V2, MINUS_ONE_TO_ONE),
    "densenet121": Backbone(_APPLICATIONS.DenseNet121, TORCH),
    "densenet169": Backbone(_APPLICATIONS.DenseNet169, TORCH),
    "densenet201": Backbone(_APPLICATIONS.DenseNet201, TORCH),
    "inceptionv3": Backbone(_APPLICATIONS.InceptionV3, MINUS_ONE_TO_ONE),
    "xception": Backbone(_APPLICATIONS.Xception, MINUS_ONE_TO_ONE),
    "mobilenetv2": Backbone(_APPLICATIONS.MobileNetV2, MINUS_ONE_TO_ONE),
    "mobilenetv3small": Backbone(
        _APPLICATIONS.MobileNetV3Small, MINUS_ONE_TO_ONE, options=_NO_PREPROCESSING
    ),
    "mobilenetv3large": Backbone(
        _APPLICATIONS.MobileNetV3Large, MINUS_ONE_TO_ONE, options=_NO_PREPROCESSING
    ),
    "efficientnet_lite0": _efficientnet_lite("efficientnet_lite0"),
    "efficientnet_lite1": _efficientnet_lite("efficientnet_lite1"),
    "efficientnet_lite2": _efficientnet_lite("efficientnet_lite2"),
    "efficientnetv2b0": Backbone(_APPLICATIONS.EfficientNetV2B0, TORCH, options=_NO_PREPROCESSING),
    "efficientnetv2b1": Backbone(_APPLICATIONS.EfficientNetV2B1, TORCH, options=_NO_PREPROCESSING),
    "efficientnetv2b2": Backbone(_APPLICATIONS.EfficientNetV2B2, TORCH, options=_NO_PREPROCESSING),
    "efficientnetv2b3": Backbone(_APPLICATIONS.EfficientNetV2B3, TORCH, options=_NO_PREPROCESSING),
    "efficientnetv2s": Backbone(
        _APPLICATIONS.EfficientNetV2S, EFFICIENTNET_V2, options=_NO_PREPROCESSING
    ),
    "efficientnetv2m": Backbone(
        _APPLICATIONS.EfficientNetV2M, EFFICIENTNET_V2, options=_NO_PREPROCESSING
    ),
    "efficientnetv2l": Backbone(
        _APPLICATIONS.EfficientNetV2L, EFFICIENTNET_V2, options=_NO_PREPROCESSING
    ),
    "convnexttiny": Backbone(_APPLICATIONS.ConvNeXtTiny, TORCH, options=_NO_PREPROCESSING),
    "convnextsmall": Backbone(_APPLICATIONS.ConvNeXtSmall, TORCH, options=_NO_PREPROCESSING),
    "convnextbase": Backbone(_APPLICATIONS.ConvNeXtBase, TORCH, options=_NO_PREPROCESSING),
}


def get_backbone(name: str | keras.Model) -> Backbone:
    """The backbone of that name.

    Args:
        name: a Keras model as `keras:FILE` has it, of a fixed size too; a key of `BACKBONES` (case
            and `-_.` do not matter); `hub:PRESET_OR_FOLDER`, one that KerasHub loads;
            `keras:FILE` or `keras:NORMALIZATION:FILE`, a Keras model (see
            `read_features`) and a key of `NORMALIZATIONS`, for a model without a layer that scales
            its images.

    Raises:
        ValueError: an unknown name, with the known ones; a file that is no backbone.
    """
    if isinstance(name, keras.Model):
        if not scales_images(name):
            raise ValueError(
                f"Backbone {name.name!r} neither scales nor normalises images of 0..255: let it"
                " begin with keras.layers.Rescaling(...), of 1 where it wants them as they are."
            )
        return _backbone_of_model(as_features(name, repr(name.name)), repr(name.name))
    if name.startswith(_HUB):
        preset = name.removeprefix(_HUB)
        normalization = partial(hub_normalization, preset)
        return Backbone(partial(hub_network, preset), normalization, STRIDE)
    if name.startswith(_OF_A_FILE):
        return _backbone_of_file(name)
    known = {plain_name(key): backbone for key, backbone in BACKBONES.items()}
    if plain_name(name) not in known:
        raise ValueError(
            f"Unknown backbone {name!r}. Known backbones: {', '.join(BACKBONES)}, and"
            f" {_HUB}PRESET_OR_FOLDER, {_OF_A_FILE}FILE."
        )
    backbone = known[plain_name(name)]
    if backbone.stride is None:
        features = backbone.build(input_shape=(None, None, 3), include_top=False, weights=None)
        object.__setattr__(backbone, "stride", find_stride(features, repr(name)))
    return backbone


def _backbone_of_file(name):
    path = name.removeprefix(_OF_A_FILE)
    given, colon, rest = path.partition(":")
    is_given = bool(colon) and given in NORMALIZATIONS
    path = rest if is_given else path
    features = read_features(path)
    if not is_given and not scales_images(features):
        raise ValueError(
            f"{path!r} neither scales nor normalises images of 0..255. Say what it expects, as"
            f" --backbone=keras:NORMALIZATION:{path}, of: {', '.join(NORMALIZATIONS)}."
        )
    return _backbone_of_model(features, repr(path), given if is_given else "none")


def _backbone_of_model(features, name, normalization="none"):
    return Backbone(
        # A copy: what is read is shared.
        lambda **_: rebuild_network(features, fused=False),
        NORMALIZATIONS[normalization],
        find_stride(features, name),
        has_imagenet_weights=False,
        image_size=image_side(features),
    )


def plain_name(name: str) -> str:
    """The name without what does not matter in it."""
    return name.lower().translate(dict.fromkeys(map(ord, "-_.")))


def heatmap_stride(names: tuple[str, ...]) -> int:
    """Nominal image pixels per heatmap cell of a network with these backbones: of the finest."""
    return min(get_backbone(name).stride for name in names)


def check_image_size(name: str | keras.Model, size: int) -> None:
    """Raises ValueError where images of `size` pixels are not what a backbone takes."""
    only = get_backbone(name).image_size
    if only not in (None, size):
        raise ValueError(
            f"backbone {getattr(name, 'name', name)!r} takes images of {only} pixels only, not of"
            f" {size}: use --image_size={only}, and no scale transform."
        )


def strides_of(names: tuple[str, ...], network: keras.Model) -> tuple[int, ...]:
    """The strides of a network's backbones, or its own where one was given without a name."""
    return (
        (find_stride(network),) if GIVEN in names else tuple(get_backbone(n).stride for n in names)
    )


def check_backbone_weights(name: str | keras.Model, weights: str | None) -> None:
    """Finds out whether a backbone can have these weights, without building it.

    Args:
        name, weights: as `build_backbone`.

    Raises:
        ValueError: unknown name, no published ImageNet weights, a package or a file that is not
            there.
    """
    backbone = get_backbone(name)
    published = backbone.torch_weights
    if isinstance(name, str) and name.startswith(_HUB):
        check_hub(name.removeprefix(_HUB))
    if weights in ("none", None, ""):
        return
    if weights != "imagenet":
        check_weights_file(weights, published)
    elif not backbone.has_imagenet_weights:
        advice = published.advice if published else "Use weights='none' or a file."
        raise ValueError(f"There are no ImageNet weights for backbone {name!r} here. {advice}")
    elif backbone.find_imagenet_weights:
        backbone.find_imagenet_weights()


def build_backbone(name: str | keras.Model, image_shape, weights: str | None = None):
    """The feature extractor of a backbone, without normalisation and classifier.

    Args:
        name: As `get_backbone`; `hub:PRESET_OR_FOLDER` and `keras:FILE` bring their weights.
        image_shape: `(height, width, 3)`, height and width may be None.
        weights: `"imagenet"` (downloaded by Keras; for efficientnet_lite from an installed package,
            see `requirements-pretrained.txt`), `"none"`/None (with `keras:FILE`: its own), the path
            of a `.keras` or `.weights.h5` file of this backbone, of the network.keras of a run that
            has it, or (for those with `torch_weights`) of a `.pth` or `.safetensors` file or a
            folder of timm's.

    Returns:
        `keras.Model`: normalised images `[B, H, W, 3]` -> features `[B, h, w, C]`.

    Raises:
        ValueError: unknown name, no published or installed ImageNet weights, missing or ill-fitting
            file.
    """
    check_backbone_weights(name, weights)
    backbone, source = get_backbone(name), weights or "none"
    features = backbone.build(
        input_shape=image_shape,
        include_top=False,
        weights="imagenet" if source == "imagenet" else None,
        **dict(backbone.options),
    )
    if source not in ("none", "imagenet"):
        load_backbone_weights(features, name, source, backbone.torch_weights)
    return features

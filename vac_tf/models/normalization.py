"""What images of 0..255 go through before the first weights; all constants of it live here."""

import dataclasses

import keras

IMAGENET_MEAN = (0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0)
IMAGENET_STD = (0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0)
CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)


@dataclasses.dataclass(frozen=True)
class Normalization:
    """`(x - mean) / std` per channel on 0..255 values, after an optional RGB -> BGR."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    reverse_channels: bool = False

    def __call__(self, images):
        if self.reverse_channels:
            # Not a flip: ONNX has none, and gets two transposes and a ReverseSequence in its place.
            images = keras.ops.take(images, [2, 1, 0], axis=-1)
        scale = [1.0 / std for std in self.std]
        offset = [-mean / std for mean, std in zip(self.mean, self.std, strict=True)]
        return keras.layers.Rescaling(scale, offset, dtype="float32", name="normalization")(images)


CAFFE = Normalization(CAFFE_MEAN_BGR, (1.0, 1.0, 1.0), reverse_channels=True)
TORCH = Normalization(IMAGENET_MEAN, IMAGENET_STD)
MINUS_ONE_TO_ONE = Normalization((127.5,) * 3, (127.5,) * 3)
EFFICIENTNET_V2 = Normalization((128.0,) * 3, (128.0,) * 3)
EFFICIENTNET_LITE = Normalization((127.0,) * 3, (128.0,) * 3)
# What a Keras model of somebody else may have been trained with, by name; none: images in 0..255.
NORMALIZATIONS = {
    "none": Normalization((0.0,) * 3, (1.0,) * 3),
    "torch": TORCH,
    "caffe": CAFFE,
    "minus_one_to_one": MINUS_ONE_TO_ONE,
}

"""The network as production runs it: images in 0..255 -> logits, probabilities, heatmaps."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from export.bundle.description import OutputCalibration
from export.bundle.label_groups import LabelGroup
from export.bundle.preprocessing import Preprocessing
from export.scoring.runtime.graph_fit import EMBEDDINGS
from vac_tf.geometry.resizing import resize_images
from vac_tf.inputs.decoding import decode_image
from vac_tf.losses.label_groups import grouped_probabilities
from vac_tf.models.cam_head import HEAD_LAYER, pool_features
from vac_tf.models.classifier import with_features
from vac_tf.models.dual_stream import with_stream_heatmaps
from vac_tf.models.rebuilding import rebuild_network


class InferenceNetwork:
    """A trained network in float32 with a fixed image size, and its serving functions.

    Attributes:
        network: The Keras network that holds the weights.
        embedding_size: Numbers of an embedding; 0 where there are none.

    Args:
        network: Functional `keras.Model`, `images` -> `logits`, `heatmaps`; of any precision.
        preprocessing: Image size, resize kernel and dtype of the exported input.
        calibration: Of the probabilities; logits stay as the network gives them.
        gives_embeddings: Whether `predict` also gives the pooled features.
        label_groups: Labels that exclude each other.
    """

    def __init__(
        self,
        network: keras.Model,
        preprocessing: Preprocessing,
        calibration: OutputCalibration | None = None,
        gives_embeddings: bool = False,
        label_groups: Sequence[LabelGroup] = (),
    ):
        # A network in mixed precision exports to a graph that ONNX Runtime refuses or distorts.
        self.network = rebuild_network(
            with_stream_heatmaps(network), fused=False, dtype="float32", depthwise=True
        )
        self._forward = self._with_features() if gives_embeddings else self.network
        self._preprocessing = preprocessing
        self._calibration = calibration
        self._groups = tuple(label_groups)
        size = (preprocessing.height, preprocessing.width, 3)
        outputs = self._predict(tf.zeros((1, *size)))  # Some layers make their state only now.
        self.embedding_size = outputs[EMBEDDINGS].shape[1] if gives_embeddings else 0
        self.images_signature = tf.TensorSpec(
            (None, *size), preprocessing.input_dtype, name="images"
        )
        self.bytes_signature = tf.TensorSpec((None,), tf.string, name="encoded_images")

    def _with_features(self):
        if not any(layer.name == HEAD_LAYER for layer in self.network.layers):
            raise ValueError(
                f"The network has no layer {HEAD_LAYER!r}, whose input the embeddings are. Name the"
                " layer so that makes logits and heatmaps of the features, or export without"
                " embeddings."
            )
        return with_features(self.network)

    def _predict(self, images):
        outputs = dict(self._forward(tf.cast(images, tf.float32), training=False))
        if "features" in outputs:
            outputs[EMBEDDINGS] = pool_features(outputs.pop("features"), "average")
        calibrated = outputs["logits"]
        if self._calibration:
            scales, offsets = self._calibration.scales, self._calibration.offsets
            calibrated = calibrated * tf.constant(scales) + tf.constant(offsets)
        return {**outputs, "probabilities": grouped_probabilities(calibrated, self._groups)}

    def predict(self, images):
        """`[B, H, W, 3]` RGB in 0..255 -> `logits`, `probabilities`, `heatmaps`.

        A dual-stream network also gives `trunk_heatmaps` and `branch_heatmaps`. On request there
        are `embeddings` `[B, C]`: the last features, averaged over the image whatever pooling the
        logits have; of a dual-stream network those of both streams, one behind the other.
        """
        return self._predict(images)

    def classify(self, images):
        """As `predict`, without the heatmaps: a small answer for a server."""
        outputs = self._predict(images)
        return {name: outputs[name] for name in ("logits", "probabilities")}

    def classify_bytes(self, encoded_images):
        """Encoded images `[B]` -> `logits`, `probabilities`; decoded and resized as in training."""
        settings = self._preprocessing

        def load(contents):
            pixels = decode_image(contents, "encoded_images", settings.max_pixels)
            image = resize_images(pixels, settings.height, settings.resize_kernel)
            return tf.ensure_shape(image, (settings.height, settings.width, 3))

        signature = tf.TensorSpec((settings.height, settings.width, 3), tf.float32)
        return self.classify(tf.map_fn(load, encoded_images, fn_output_signature=signature))

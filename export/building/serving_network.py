"""The network as production runs it: images in 0..255 -> logits, probabilities, heatmaps."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from export.bundle.description import OutputCalibration
from export.bundle.label_groups import LabelGroup
from export.bundle.preprocessing import Preprocessing
from export.scoring.runtime.graph_fit import EMBEDDINGS, STABILITY
from vac_tf.evaluation.test_time_views import ViewAverage, agreement, check_views
from vac_tf.geometry.resizing import resize_images
from vac_tf.geometry.transforms import Transform
from vac_tf.inputs.decoding import decode_image
from vac_tf.losses.label_groups import grouped_probabilities
from vac_tf.models.cam_head import HEAD_LAYER, pool_features
from vac_tf.models.classifier import with_features
from vac_tf.models.computation.rebuilding import rebuild_network
from vac_tf.models.dual_stream import with_stream_heatmaps


class InferenceNetwork:
    """A trained network in float32 with a fixed image size, and its serving functions.

    Attributes:
        network: The Keras network that holds the weights.
        embedding_size: Numbers of an embedding; 0 where there are none.
        gives_stability: Whether there are views, and `predict` says how much they agree.

    Args:
        network: Functional `keras.Model`, `images` -> `logits`, `heatmaps`; of any precision.
        preprocessing: Image size, resize kernel and dtype of the exported input.
        calibration: Of the probabilities; logits stay as the network gives them.
        gives_embeddings: Whether `predict` also gives the pooled features.
        label_groups: Labels that exclude each other.
        views: Transforms whose outputs are averaged with those of the image itself.

    Raises:
        ValueError: the network has no embeddings, or does not take the views.
    """

    def __init__(
        self,
        network: keras.Model,
        preprocessing: Preprocessing,
        calibration: OutputCalibration | None = None,
        gives_embeddings: bool = False,
        label_groups: Sequence[LabelGroup] = (),
        views: Sequence[Transform] = (),
    ):
        # A network in mixed precision exports to a graph that ONNX Runtime refuses or distorts.
        self.network = rebuild_network(
            with_stream_heatmaps(network), fused=False, dtype="float32", depthwise=True
        )
        self._forward = self._with_features() if gives_embeddings else self.network
        self._preprocessing = preprocessing
        self._calibration = calibration
        self._groups = tuple(label_groups)
        check_views(self.network, views, preprocessing.height)
        self._views = ViewAverage(self._outputs, views) if views else None
        self.gives_stability = bool(views)
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

    def _outputs(self, images):
        """Of one view of each image: all but the probabilities."""
        outputs = dict(self._forward(images, training=False))
        if "features" in outputs:
            outputs[EMBEDDINGS] = pool_features(outputs.pop("features"), "average")
        return outputs

    def _predict(self, images):
        images = tf.cast(images, tf.float32)
        if self._views is None:
            outputs = self._outputs(images)
            return {**outputs, "probabilities": self._probabilities(outputs["logits"])}
        outputs, logits = self._views(images)
        of_views = self._probabilities(tf.reshape(logits, (-1, logits.shape[-1])))
        return {
            **outputs,
            "probabilities": self._probabilities(outputs["logits"]),
            STABILITY: agreement(tf.reshape(of_views, (len(logits), -1, logits.shape[-1]))),
        }

    def _probabilities(self, logits):
        if self._calibration:
            scales, offsets = self._calibration.scales, self._calibration.offsets
            logits = logits * tf.constant(scales) + tf.constant(offsets)
        return grouped_probabilities(logits, self._groups)

    def predict(self, images):
        """`[B, H, W, 3]` RGB in 0..255 -> `logits`, `probabilities`, `heatmaps`.

        A dual-stream network also gives `trunk_heatmaps` and `branch_heatmaps`. On request there
        are `embeddings` `[B, C]`: the last features, averaged over the image whatever pooling the
        logits have; of a dual-stream network those of both streams, one behind the other.

        With views all of these are means over the image and its views, heatmaps brought back;
        `probabilities` are those of the mean logits, and there is `stability` `[B, L]` in 0..1: 1
        less the range that a label's probability has over the single views.
        """
        return self._predict(images)

    def classify(self, images):
        """As `predict`, without heatmaps and embeddings: a small answer for a server."""
        outputs = self._predict(images)
        return {name: outputs[name] for name in self.classification}

    @property
    def classification(self) -> tuple[str, ...]:
        """Names of the outputs of `classify`."""
        return ("logits", "probabilities", *((STABILITY,) if self.gives_stability else ()))

    def classify_bytes(self, encoded_images):
        """Encoded images `[B]` -> as `classify`; decoded and resized as in training."""
        settings = self._preprocessing

        def load(contents):
            pixels = decode_image(contents, "encoded_images", settings.max_pixels)
            image = resize_images(pixels, settings.height, settings.resize_kernel)
            return tf.ensure_shape(image, (settings.height, settings.width, 3))

        signature = tf.TensorSpec((settings.height, settings.width, 3), tf.float32)
        return self.classify(tf.map_fn(load, encoded_images, fn_output_signature=signature))

"""The head that classifies and shows where: class activation maps (VAC paper, Equation 1)."""

import keras
from keras import ops

POOLINGS = ("average", "max")


@keras.saving.register_keras_serializable(package="vac_tf")
class CAMHead(keras.layers.Layer):
    """Logits and one heatmap per label from the last features of a backbone.

    Heatmap: `M[b, h, w, l] = sum_c features[b, h, w, c] * kernel[c, l]` (Visual Attention
    Consistency, Equation 1): no bias, no ReLU, no normalisation. Logits: the pooled features
    through the same kernel, plus a bias. With average pooling the spatial mean of a heatmap
    plus its bias is its logit.

    Always computes in float32, whatever the policy of the backbone.

    Args:
        num_labels: Number of labels L.
        pooling: `"average"` (VAC) or `"max"` (dual stream).
        detach_heatmap_kernel: Heatmaps give no gradient to the kernel, as in the authors'
            release; the features still receive one.

    Input shape: features `[B, h, w, C]`.
    Output: dict of `heatmaps` float32 `[B, h, w, L]` and `logits` float32 `[B, L]`.

    Raises:
        ValueError: for an unknown pooling or a `num_labels` below 1.
    """

    def __init__(self, num_labels, pooling="average", detach_heatmap_kernel=True, **kwargs):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        if pooling not in POOLINGS:
            raise ValueError(
                f"Unknown pooling {pooling!r}. Expected one of: {', '.join(POOLINGS)}."
            )
        if num_labels < 1:
            raise ValueError(f"num_labels must be at least 1, got {num_labels}.")
        self.num_labels = num_labels
        self.pooling = pooling
        self.detach_heatmap_kernel = detach_heatmap_kernel

    def build(self, features_shape):
        self.kernel = self.add_weight(
            name="kernel", shape=(features_shape[-1], self.num_labels), initializer="glorot_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(self.num_labels,), initializer="zeros")

    def call(self, features):
        pool = ops.mean if self.pooling == "average" else ops.max
        logits = ops.matmul(pool(features, axis=(1, 2)), self.kernel) + self.bias
        kernel = ops.stop_gradient(self.kernel) if self.detach_heatmap_kernel else self.kernel
        # One 1x1 convolution for all labels exports as one Conv; a matmul on four axes as 15 nodes.
        heatmaps = ops.conv(features, kernel[None, None])
        return {"heatmaps": heatmaps, "logits": logits}

    def compute_output_shape(self, features_shape):
        batch, height, width, _ = features_shape
        return {
            "heatmaps": (batch, height, width, self.num_labels),
            "logits": (batch, self.num_labels),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "num_labels": self.num_labels,
            "pooling": self.pooling,
            "detach_heatmap_kernel": self.detach_heatmap_kernel,
        }

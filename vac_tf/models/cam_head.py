"""The head that classifies and shows where: class activation maps (VAC paper, Equation 1)."""

import keras
from keras import ops

from vac_tf.models.loading_hint import SaysWhatToImport

POOLINGS = ("average", "max", "csra")

# Name of the layer that ends every network of logits and heatmaps.
HEAD_LAYER = "cam_head"


@keras.saving.register_keras_serializable(package="vac_tf")
class CAMHead(SaysWhatToImport):
    """Logits and one heatmap per label from the last features of a backbone.

    Heatmap: `M[b, h, w, l] = sum_c features[b, h, w, c] * kernel[c, l]` (Visual Attention
    Consistency, Equation 1): no bias, no ReLU, no normalisation. Logits: the pooled features
    through the same kernel, plus a bias. With average pooling the spatial mean of a heatmap
    plus its bias is its logit.

    Always computes in float32, whatever the policy of the backbone.

    Args:
        num_labels: Number of labels L.
        pooling: `"average"` (VAC), `"max"` (dual stream), or `"csra"`, class-specific residual
            attention (Zhu & Wu, "Residual Attention", ICCV 2021): to the logit of average pooling
            it adds `attention_weight` times the mean of the heatmap under its own softmax over
            the cells. The heatmaps are those of Equation 1 all the same.
        detach_heatmap_kernel: Heatmaps give no gradient to the kernel, as in the authors'
            release; the features still receive one.
        paired: One column per answer, (negative, positive), as the dual-stream paper's multiple
            cross entropy has it: `kernel` `[C, L, 2]` and `bias` `[L, 2]`. Logits and heatmaps are
            those of the difference, positive - negative. It can say no more than one column; a
            step of the same learning rate moves its logits twice as far.
        attention_weight: lambda of `"csra"`; at 0 it is average pooling.
        attention_temperature: T of `"csra"`, what heatmaps are multiplied by in the softmax: 0 is
            the mean over cells, large ones their maximum.

    Input shape: features `[B, h, w, C]`.
    Output: dict of `heatmaps` float32 `[B, h, w, L]` and `logits` float32 `[B, L]`.

    Raises:
        ValueError: for an unknown pooling or a `num_labels` below 1.
    """

    def __init__(
        self,
        num_labels,
        pooling="average",
        detach_heatmap_kernel=True,
        paired=False,
        attention_weight=0.1,
        attention_temperature=1.0,
        **kwargs,
    ):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        check_head(num_labels, pooling)
        self.num_labels = num_labels
        self.pooling = pooling
        self.detach_heatmap_kernel = detach_heatmap_kernel
        self.paired = paired
        self.attention_weight = attention_weight
        self.attention_temperature = attention_temperature

    def build(self, features_shape):
        columns = (self.num_labels, 2) if self.paired else (self.num_labels,)
        initializer = paired_glorot_uniform if self.paired else "glorot_uniform"
        self.kernel = self.add_weight(
            name="kernel", shape=(features_shape[-1], *columns), initializer=initializer
        )
        self.bias = self.add_weight(name="bias", shape=columns, initializer="zeros")

    def call(self, features):
        kernel = pair_difference(self.kernel) if self.paired else self.kernel
        bias = pair_difference(self.bias) if self.paired else self.bias
        logits = ops.matmul(pool_features(features, self.pooling), kernel) + bias
        if self.pooling == "csra":
            # The attention trains the kernel, whatever the heatmaps may do.
            maps = activation_maps(features, kernel)
            attended = mean_under_own_softmax(maps, self.attention_temperature)
            logits = logits + self.attention_weight * attended
        kernel = ops.stop_gradient(kernel) if self.detach_heatmap_kernel else kernel
        return {"heatmaps": activation_maps(features, kernel), "logits": logits}

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
            "paired": self.paired,
            "attention_weight": self.attention_weight,
            "attention_temperature": self.attention_temperature,
        }


def check_head(num_labels: int, pooling: str) -> None:
    """Raises ValueError for an unknown pooling or a `num_labels` below 1."""
    if pooling not in POOLINGS:
        raise ValueError(f"Unknown pooling {pooling!r}. Expected one of: {', '.join(POOLINGS)}.")
    if num_labels < 1:
        raise ValueError(f"num_labels must be at least 1, got {num_labels}.")


def pool_features(features, pooling: str):
    """Global average (of `csra` too) or maximum of features `[B, h, w, C]`: `[B, C]`."""
    return (ops.max if pooling == "max" else ops.mean)(features, axis=(1, 2))


def mean_under_own_softmax(heatmaps, temperature: float):
    """Mean `[B, L]` of each map of `[B, h, w, L]`, weighted by its softmax over the cells."""
    # Less its maximum no exponential overflows.
    heights = temperature * (heatmaps - ops.max(heatmaps, axis=(1, 2), keepdims=True))
    weights = ops.exp(heights)
    return ops.sum(weights * heatmaps, axis=(1, 2)) / ops.sum(weights, axis=(1, 2))


def activation_maps(features, kernel):
    """Class activation maps `[B, h, w, L]` of features `[B, h, w, C]` by a kernel `[C, L]`."""
    # One 1x1 convolution for all labels exports as one Conv; a matmul on four axes as 15 nodes.
    return ops.conv(features, kernel[None, None])


def pair_difference(pairs):
    """Positive minus negative of `[..., 2]`: a two-way softmax is the sigmoid of it."""
    return pairs[..., 1] - pairs[..., 0]


def paired_glorot_uniform(shape, dtype=None):
    """Initial kernel `[C, L, 2]`: that of one dense layer from C inputs to 2L outputs."""
    channels, num_labels, _ = shape
    kernel = keras.initializers.GlorotUniform()((channels, 2 * num_labels), dtype)
    return ops.reshape(kernel, shape)

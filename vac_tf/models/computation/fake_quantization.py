"""Layers that learn under INT8's rounding: quantisation-aware training.

In training, inputs and kernel of each convolution, and what is added, are rounded as the exported
INT8 file rounds them, and gradients pass as if they were not (Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018, Section 3).
Elsewhere these layers are the stock ones, and the weights and the saved file stay theirs. The batch
normalisation behind a convolution need not be folded into it: scaling an output channel scales the
range of its kernel alike.
"""

import keras
import tensorflow as tf
from keras import ops

_SMALLEST_RANGE = 1e-12  # Of a tensor of zeros: the op divides by the range.


def quantized_activations(values: tf.Tensor) -> tf.Tensor:
    """Values rounded to the 256 steps of a tensor's own range, which holds 0.

    Args:
        values: any shape, any float dtype.

    Returns:
        The same shape and dtype.
    """
    exact = tf.cast(values, tf.float32)
    low = tf.minimum(tf.reduce_min(exact), 0.0)
    high = tf.maximum(tf.reduce_max(exact), _SMALLEST_RANGE)
    rounded = tf.grad_pass_through(
        lambda x: tf.quantization.fake_quant_with_min_max_vars(x, low, high)
    )(exact)
    return tf.cast(rounded, values.dtype)


def quantized_kernel(kernel: tf.Tensor) -> tf.Tensor:
    """A kernel rounded to the 255 steps of each output channel's own range, symmetric about 0.

    Args:
        kernel: `[..., output channels]`, any float dtype.

    Returns:
        The same shape and dtype.
    """
    exact = tf.cast(kernel, tf.float32)
    rows = tf.reshape(exact, (-1, kernel.shape[-1]))
    largest = tf.maximum(tf.reduce_max(tf.abs(rows), 0), _SMALLEST_RANGE)
    rounded = tf.grad_pass_through(
        lambda x: tf.quantization.fake_quant_with_min_max_vars_per_channel(
            x, -largest, largest, narrow_range=True
        )
    )(rows)
    return tf.cast(tf.reshape(rounded, kernel.shape), kernel.dtype)


@keras.saving.register_keras_serializable(package="vac_tf")
class QuantizationAwareConv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D` that rounds inputs and kernel in training."""

    def call(self, inputs, training=None):
        if not training:
            return super().call(inputs)
        kernel = quantized_kernel(ops.convert_to_tensor(self.kernel))
        outputs = self.convolution_op(quantized_activations(inputs), kernel)
        return _with_bias_and_activation(self, outputs)


@keras.saving.register_keras_serializable(package="vac_tf")
class QuantizationAwareDepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` that rounds inputs and kernel in training."""

    def call(self, inputs, training=None):
        if not training:
            return super().call(inputs)
        kernel = ops.convert_to_tensor(self.kernel)  # [h, w, inputs, outputs of each input]
        flat = tf.reshape(kernel, (*kernel.shape[:2], -1))
        outputs = ops.depthwise_conv(
            quantized_activations(inputs),
            tf.reshape(quantized_kernel(flat), kernel.shape),
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )
        return _with_bias_and_activation(self, outputs)


@keras.saving.register_keras_serializable(package="vac_tf")
class QuantizationAwareAdd(keras.layers.Add):
    """`keras.layers.Add` that rounds its inputs in training: those of residual connections."""

    def call(self, inputs, training=None):
        if training:
            inputs = [quantized_activations(each) for each in inputs]
        return super().call(inputs)


# By the class that a network is built of.
QUANTIZATION_AWARE = {
    keras.layers.Conv2D: QuantizationAwareConv2D,
    keras.layers.DepthwiseConv2D: QuantizationAwareDepthwiseConv2D,
    keras.layers.Add: QuantizationAwareAdd,
}


def _with_bias_and_activation(layer, outputs):
    if layer.use_bias:
        outputs = ops.add(outputs, layer.bias)  # Channels are the last axis: no other is built.
    return outputs if layer.activation is None else layer.activation(outputs)

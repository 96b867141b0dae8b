"""Batch normalisation on TensorFlow's fused op, and networks rebuilt with it.

Keras 3 computes batch normalisation from separate means and products; the fused op does it in
one pass. The weights, the moving statistics and the saved file stay those of the stock layer.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="vac_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose training pass is `FusedBatchNormV3`.

    Falls back to the stock layer wherever the fused op does not apply: inputs that are not
    `[B, H, W, C]`, a mask, synchronised or renormalised statistics, another axis, inference.
    The class keeps the stock name so that weight files fit either class.
    """

    def call(self, inputs, training=None, mask=None):
        if not training or not self.trainable or mask is not None or not self._fits(inputs):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        # The op wants float32 parameters; InceptionV3 has no gamma.
        gamma = self._float32(self.gamma) if self.scale else tf.ones([channels])
        beta = self._float32(self.beta) if self.center else tf.zeros([channels])
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=gamma,
            offset=beta,
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The op returns the unbiased variance; Keras keeps the biased one.
        count = tf.cast(tf.reduce_prod(tf.shape(inputs)[:-1]), tf.float32)
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance * ((count - 1.0) / count))
        return outputs

    def _fits(self, inputs):
        is_last_axis = self.axis in (-1, 3)
        is_plain = not self.synchronized and not self.renorm
        return len(inputs.shape) == 4 and is_last_axis and is_plain

    def _move(self, statistic, batch_value):
        value = self._float32(statistic) * self.momentum + batch_value * (1.0 - self.momentum)
        statistic.assign(value)

    @staticmethod
    def _float32(variable):
        return tf.cast(variable.value, tf.float32)


_OF_ANY_CONVOLUTION = (
    *("name", "trainable", "dtype", "kernel_size", "strides", "padding", "data_format"),
    *("dilation_rate", "activation", "use_bias"),
)


def rebuild_network(
    network,
    fused: bool,
    dtype: str | None = None,
    batch_norm_momentum: float | None = None,
    dropout: float | None = None,
    depthwise: bool = False,
):
    """The same functional network, layer by layer, with other computation.

    Args:
        network: Functional `keras.Model`; its weights are copied, it is not changed.
        fused: Batch normalisation by the fused op (training) or the stock class (files, export).
        dtype: Policy of every layer, such as `"mixed_bfloat16"`; None keeps each layer's own.
            Layers that were built to compute in float32 (`Rescaling`, `CAMHead`) keep it.
        batch_norm_momentum: Momentum of every batch normalisation; None keeps each.
        dropout: Rate of every dropout layer (stochastic depth included); None keeps each.
        depthwise: Make a convolution in groups of one channel (ConvNeXt's) a `DepthwiseConv2D`.
            TensorFlow computes groups on a CPU through XLA only, which ONNX does not know.

    Returns:
        A new functional `keras.Model` with equal weights, none of them frozen.
    """

    def rebuild_layer(layer):
        layer_config = layer.get_config()
        layer_class = layer.__class__
        is_layer = isinstance(layer, keras.layers.Layer)  # Plain operations take no dtype.
        if is_layer:
            # A model does not store that its layers are frozen: loaded, it could not be released.
            layer_config["trainable"] = True
        if dtype and is_layer and not isinstance(layer, keras.layers.Rescaling):
            layer_config["dtype"] = dtype
        if isinstance(layer, keras.layers.BatchNormalization):
            layer_class = BatchNormalization if fused else keras.layers.BatchNormalization
            if batch_norm_momentum is not None:
                layer_config["momentum"] = batch_norm_momentum
        if dropout is not None and isinstance(layer, keras.layers.Dropout):
            layer_config["rate"] = dropout
        if depthwise and _has_groups_of_one_channel(layer):
            layer_class = keras.layers.DepthwiseConv2D
            layer_config = {key: layer_config[key] for key in _OF_ANY_CONVOLUTION}
            layer_config["depth_multiplier"] = layer.filters // layer.groups
        return layer_class.from_config(layer_config)

    rebuilt = keras.models.clone_model(network, clone_function=rebuild_layer, recursive=True)
    weights = network.get_weights()
    if depthwise:
        # A depthwise kernel holds the same numbers in the same order, its last axis split in two.
        pairs = zip(weights, rebuilt.weights, strict=True)
        weights = [values.reshape(variable.shape) for values, variable in pairs]
    rebuilt.set_weights(weights)
    return rebuilt


def _has_groups_of_one_channel(layer):
    return isinstance(layer, keras.layers.Conv2D) and layer.groups > 1 == layer.kernel.shape[-2]

"""Batch normalisation on TensorFlow's fused op.

Keras 3 computes batch normalisation from separate means and products; the fused op does it in
one pass. The weights, the moving statistics and the saved file stay those of the stock layer.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="vac_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` whose training pass is `FusedBatchNormV3`.

    Falls back to the stock layer wherever the fused op does not apply: inputs that are not
    `[B, H, W, C]`, a mask, synchronised or renormalised statistics, another axis, no momentum,
    inference.
    The class keeps the stock name so that weight files fit either class.
    """

    def call(self, inputs, training=None, mask=None):
        if not training or not self.trainable or mask is not None or not self._fits(inputs):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        # The op wants float32 parameters; InceptionV3 has no gamma.
        gamma = self._float32(self.gamma) if self.scale else tf.ones([channels])
        beta = self._float32(self.beta) if self.center else tf.zeros([channels])
        # The op moves the unbiased variance; Keras keeps the biased one, (n - 1) / n of it. Of one
        # value the variance is 0 in either.
        size = tf.cast(tf.size(inputs, tf.int64), tf.float32)
        biased = tf.maximum(size - channels, channels) / size
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=gamma,
            offset=beta,
            mean=self._float32(self.moving_mean),
            variance=self._float32(self.moving_variance) / biased,
            epsilon=self.epsilon,
            exponential_avg_factor=1.0 - self.momentum,
            is_training=True,
        )
        self.moving_mean.assign(mean)
        self.moving_variance.assign(variance * biased)
        return outputs

    def _fits(self, inputs):
        is_last_axis = self.axis in (-1, 3)
        is_plain = not self.synchronized and not self.renorm
        # Without momentum the op takes no moving statistics.
        return len(inputs.shape) == 4 and is_last_axis and is_plain and self.momentum > 0.0

    @staticmethod
    def _float32(variable):
        return tf.cast(variable.value, tf.float32)

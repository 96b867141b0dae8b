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

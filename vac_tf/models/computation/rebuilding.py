"""The same functional network with other computation: precision, batch normalisation, rounding."""

import dataclasses

import keras

from vac_tf.models.computation.fake_quantization import QUANTIZATION_AWARE
from vac_tf.models.computation.fused_batch_norm import BatchNormalization

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
    quantization_aware: bool = False,
):
    """The same functional network, layer by layer, with other computation.

    Args:
        network: Functional `keras.Model`; its weights are copied, it is not changed.
        fused: Batch normalisation by the fused op (training) or the stock class (files, export).
        dtype: Policy of every layer, such as `"mixed_bfloat16"`; None keeps each layer's own.
            Layers that were built to compute in float32 (`Rescaling`, `CAMHead`) keep it.
        batch_norm_momentum: Momentum of every batch normalisation; None keeps each.
        dropout: Rate of every dropout (stochastic depth and that of attention included); None
            keeps each.
        depthwise: Make a convolution in groups of one channel (ConvNeXt's) a `DepthwiseConv2D`.
            TensorFlow computes groups on a CPU through XLA only, which ONNX does not know.
        quantization_aware: Convolutions learn under INT8's rounding; False: the stock classes.

    Returns:
        A new functional `keras.Model` with equal weights, none of them frozen.

    Raises:
        ValueError: a layer that cannot be made again from its config.
    """
    computation = _Computation(
        fused, dtype, batch_norm_momentum, dropout, depthwise, quantization_aware
    )
    rebuilt = keras.models.clone_model(network, clone_function=computation.remade, recursive=True)
    weights = network.get_weights()
    if depthwise:
        # A depthwise kernel holds the same numbers in the same order, its last axis split in two.
        pairs = zip(weights, rebuilt.weights, strict=True)
        weights = [values.reshape(variable.shape) for values, variable in pairs]
    rebuilt.set_weights(weights)
    return rebuilt


@dataclasses.dataclass(frozen=True)
class _Computation:
    """How layers are to compute; the arguments of `rebuild_network`."""

    fused: bool
    dtype: str | None
    batch_norm_momentum: float | None
    dropout: float | None
    depthwise: bool
    quantization_aware: bool

    def remade(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """The same layer, made again; ValueError for one that cannot be."""
        try:
            layer_class, layer_config = self._class_and_config(layer)
            return layer_class.from_config(layer_config)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ValueError(
                f"Layer {layer.name!r}, a {layer.__class__.__name__}, cannot be made again from its"
                " config. A layer of your own needs get_config() with its arguments, and **kwargs"
                f" for those of Keras; a Lambda is to become such a layer. Keras says: {error}"
            ) from error

    def _class_and_config(self, layer):
        layer_config = layer.get_config()
        layer_class = self._class_of(layer)
        is_layer = isinstance(layer, keras.layers.Layer)  # Plain operations take no dtype.
        if is_layer:
            # A model does not store that its layers are frozen: loaded, it could not be released.
            layer_config["trainable"] = True
        if self.dtype and is_layer and not isinstance(layer, keras.layers.Rescaling):
            layer_config["dtype"] = self.dtype
        if isinstance(layer, keras.layers.BatchNormalization):
            # Over what devices statistics go is for the training that synchronises them.
            layer_config["synchronized"] = False
            if self.batch_norm_momentum is not None:
                layer_config["momentum"] = self.batch_norm_momentum
        if self.dropout is not None and isinstance(layer, keras.layers.Dropout):
            layer_config["rate"] = self.dropout
        if self.dropout is not None and isinstance(layer, keras.layers.MultiHeadAttention):
            layer_config["dropout"] = self.dropout
        if self.depthwise and _has_groups_of_one_channel(layer):
            layer_config = {key: layer_config[key] for key in _OF_ANY_CONVOLUTION}
            layer_config["depth_multiplier"] = layer.filters // layer.groups
        return layer_class, layer_config

    def _class_of(self, layer):
        if self.depthwise and _has_groups_of_one_channel(layer):
            return keras.layers.DepthwiseConv2D
        if isinstance(layer, keras.layers.BatchNormalization):
            return BatchNormalization if self.fused else keras.layers.BatchNormalization
        for stock, aware in QUANTIZATION_AWARE.items():
            if type(layer) in (stock, aware):
                return aware if self.quantization_aware else stock
        return layer.__class__


def _has_groups_of_one_channel(layer):
    return isinstance(layer, keras.layers.Conv2D) and layer.groups > 1 == layer.kernel.shape[-2]

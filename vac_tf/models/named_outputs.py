"""The two outputs that every network here has, by name."""

import keras

_EXPECTED = (
    "a functional Keras model, images [B, H, W, 3] in and logits [B, L] and heatmaps [B, h, w, L]"
    " out: as a dict of these names, or as two tensors"
)


def with_named_outputs(network: keras.Model) -> keras.Model:
    """The same network (shared weights), whose outputs are a dict of `logits` and `heatmaps`.

    Args:
        network: Functional, of one input, images float32 RGB in 0..255 `[B, H, W, 3]`; its outputs
            are a dict with these names (other outputs stay), or a pair in any order, of logits
            `[B, L]` and heatmaps `[B, h, w, L]`.

    Raises:
        ValueError: what it is instead.
    """
    inputs = getattr(network, "inputs", None)
    if not isinstance(network, keras.Model) or not inputs:
        raise ValueError(f"Got {type(network).__name__} without inputs. Expected {_EXPECTED}.")
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[3] != 3:
        shapes = [tuple(each.shape) for each in inputs]
        raise ValueError(f"{network.name!r} takes {shapes}. Expected {_EXPECTED}.")
    given = network.output
    named = given
    if not isinstance(given, dict):
        by_rank = {len(output.shape): output for output in network.outputs}
        named = {"logits": by_rank.get(2), "heatmaps": by_rank.get(4)}
        if len(network.outputs) != 2 or None in named.values():
            named = {}
    logits, heatmaps = named.get("logits"), named.get("heatmaps")
    shapes = [tuple(output.shape) for output in (logits, heatmaps) if output is not None]
    if [len(shape) for shape in shapes] != [2, 4] or shapes[0][-1] != shapes[1][-1]:
        told = (
            {name: tuple(value.shape) for name, value in given.items()}
            if named is given
            else [tuple(output.shape) for output in network.outputs]
        )
        raise ValueError(f"{network.name!r} gives {told}. Expected {_EXPECTED}.")
    if named is given:
        return network
    return keras.Model(inputs[0], named, name=network.name)

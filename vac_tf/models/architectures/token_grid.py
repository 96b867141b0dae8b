"""Vision transformers: from a sequence of tokens to features with a place.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, Section 3.1: the patches of an image
are read row by row, from the top left, after a class token.
"""

import math

import keras

# A class token, one for distillation (DeiT) or up to four registers (DINOv2) stand before the grid.
MOST_OTHER_TOKENS = 5


def token_grid(tokens: int, image_size: int) -> tuple[int, int] | None:
    """Side of the square grid of patches among the tokens of an image, and the tokens before it.

    Args:
        tokens: N, all of them.
        image_size: side of the image in pixels, a multiple of the grid's.

    Returns:
        The largest grid that fits, g, and N - g * g; None where more than `MOST_OTHER_TOKENS`
        would stand before it.
    """
    sides = (side for side in range(math.isqrt(tokens), 0, -1) if image_size % side == 0)
    side = next(sides, None)
    if side is None or tokens - side * side > MOST_OTHER_TOKENS:
        return None
    return side, tokens - side * side


def with_grid(model: keras.Model) -> keras.Model:
    """The same model (shared weights) that gives its tokens as features on their grid.

    Args:
        model: images `[B, S, S, 3]` -> tokens `[B, N, C]`, the patches row by row at the end.

    Returns:
        Functional `keras.Model`: images -> features `[B, g, g, C]`, without the other tokens; its
        added layers are Keras's own, so that it is saved and exported as any.

    Raises:
        ValueError: N tokens that are no square grid.
    """
    image_size, (tokens, channels) = model.inputs[0].shape[1], model.outputs[0].shape[1:]
    grid = token_grid(tokens, image_size)
    if grid is None:
        raise ValueError(
            f"{tokens} tokens of an image of {image_size} pixels are no square grid of patches with"
            f" at most {MOST_OTHER_TOKENS} tokens (class, distillation, registers) before it. End"
            " the model with the grid itself: keras.layers.Reshape((height, width, channels))."
        )
    side, others = grid
    patches = model.outputs[0]
    if others:
        patches = keras.layers.Cropping1D((others, 0), name="tokens_of_patches")(patches)
    features = keras.layers.Reshape((side, side, channels), name="grid_of_patches")(patches)
    return keras.Model(model.inputs[0], features, name=model.name)

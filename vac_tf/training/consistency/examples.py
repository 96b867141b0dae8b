"""The examples of a batch: its parts, what each counts for, and means over them."""

from keras import ops


def given_parts(data: tuple) -> tuple:
    """The parts of a batch that are there: Keras says None for no sample weights."""
    return tuple(part for part in data if part is not None)


def images_by_name(images) -> dict:
    """Images `[B, H, W, 3]` as `images`; a dict, which has other views too, as it is."""
    return images if isinstance(images, dict) else {"images": images}


def mean_of_examples(values, weights=None):
    """The mean of `[B]`, each times its weight `[B]`; None: all alike."""
    return ops.mean(values if weights is None else values * weights)


def mixed_weights(transform, weights):
    """What each example of a view counts for, `[B]`; None where all count alike."""
    return None if weights is None else transform.example_weights(weights)


def weights_per_example(sample_weights):
    """Sample weights as float32 `[B]`; None stays None. ValueError for another shape."""
    if sample_weights is None:
        return None
    shape = tuple(sample_weights.shape)
    if len(shape) != 1:
        raise ValueError(f"Sample weights must be one number per example, (B,), got {shape}.")
    return ops.cast(sample_weights, "float32")

"""How many images the batches of an epoch hold."""

from collections.abc import Sequence

from vac_tf.geometry.transforms import Scaling, Transform


def check_full_batch(
    num_images: int, batch_size: int, versions: Sequence[Transform | None] = (None,)
) -> None:
    """Raises ValueError when an epoch without its last partial batches has no batch at all.

    Args:
        num_images: N.
        batch_size: images per batch.
        versions: of each image, `Augmentation.versions`; scaled ones make batches of their own.
    """
    if num_images * _same_size(versions) < batch_size:
        raise ValueError(
            f"{num_images} training images do not fill one batch of {batch_size} (the last partial"
            " batch is dropped); use a smaller batch_size."
        )


def smallest_batch(
    num_images: int,
    batch_size: int,
    drop_remainder: bool = False,
    versions: Sequence[Transform | None] = (None,),
) -> int:
    """Images of the smallest batch of an epoch: of a last partial one, if there is one."""
    if drop_remainder:
        return batch_size
    pools = [_same_size(versions), *(1 for each in versions if isinstance(each, Scaling))]
    return min(num_images * count % batch_size or batch_size for count in pools)


def _same_size(versions):
    return sum(not isinstance(version, Scaling) for version in versions)

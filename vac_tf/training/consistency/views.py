"""The views of an image that a training step shows, and which are compared with which."""

from vac_tf.geometry.transforms import HorizontalFlip, Scaling, Transform

PAIRS = ("star", "grid")
ORIGINAL = "original"
_SCALED_FLIP = "scaled flip"


def make_views(given: dict, transforms: tuple[Transform, ...], pairs: str) -> list[dict]:
    """The views in groups of equal size, which share one forward pass and its batch statistics.

    Args:
        given: `[B, H, W, 3]` images as `images`, and views that are made already by the `spec` of
            their transform.
        transforms: of the views.
        pairs: `"star"`: one view per transform; `"grid"`: four views of one flip and one scaling.

    Returns:
        A list of dicts from a view's name (`original`, a `spec`, ...) to `[B, ., ., 3]`.
    """
    return _grid(given, transforms) if pairs == "grid" else _star(given, transforms)


def comparisons(transforms: tuple[Transform, ...], pairs: str) -> dict[Transform, tuple]:
    """What the term of each transform adds up: tuples (share, first view, second view).

    The first view, moved by the transform, is what the second one should be.
    """
    if pairs == "star":
        return {transform: ((1.0, ORIGINAL, transform.spec),) for transform in transforms}
    flip, scaling = _flip_and_scaling(transforms)
    return {
        flip: ((1.0, ORIGINAL, flip.spec), (1.0, scaling.spec, _SCALED_FLIP)),
        scaling: ((0.5, ORIGINAL, scaling.spec), (0.5, flip.spec, _SCALED_FLIP)),
    }


def first_views(groups: list[dict], transforms: tuple[Transform, ...], pairs: str) -> list[dict]:
    """Of the groups of `make_views`, the views that come first in a comparison."""
    compared = comparisons(transforms, pairs).values()
    firsts = {first for parts in compared for _, first, _ in parts}
    chosen = [{name: view for name, view in views.items() if name in firsts} for views in groups]
    return [views for views in chosen if views]


def check_grid(transforms: tuple[Transform, ...]) -> None:
    """Raises ValueError unless there is exactly one flip and one scaling, as `grid` needs."""
    kinds = sorted(transform.kind for transform in transforms)
    if kinds != ["hflip", "scale"]:
        raise ValueError(
            "pairs='grid' is the authors' way for exactly one flip and one scaling, got"
            f" {[t.spec for t in transforms]}; use pairs='star' or --transforms=hflip,scale:PIXELS."
        )


def _star(given, transforms):
    same_size = {ORIGINAL: given["images"]}
    groups = [same_size]
    for transform in transforms:
        view = {transform.spec: _given_or_made(transform, given)}
        if isinstance(transform, Scaling):
            groups.append(view)
        else:
            same_size.update(view)
    return groups


def _grid(given, transforms):
    images = given["images"]
    flip, scaling = _flip_and_scaling(transforms)
    scaled = _given_or_made(scaling, given)
    return [
        {ORIGINAL: images, flip.spec: flip.images(images)},
        {scaling.spec: scaled, _SCALED_FLIP: flip.images(scaled)},
    ]


def _given_or_made(transform, given):
    return given[transform.spec] if transform.spec in given else transform.images(given["images"])


def _flip_and_scaling(transforms):
    flip = next(t for t in transforms if isinstance(t, HorizontalFlip))
    scaling = next(t for t in transforms if isinstance(t, Scaling))
    return flip, scaling

"""Batches for training and evaluation, as `tf.data` datasets of (images, labels).

Of weighted examples a training batch is (images, labels, weights).

The order of epoch e depends only on (seed, e), and augmentation on (seed, e, example): a run can
be continued anywhere with the data it would have seen.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from vac_tf.geometry.transforms import Scaling, Transform
from vac_tf.inputs.augmentation.decisions import alone, is_chosen, maybe, seed_of
from vac_tf.inputs.augmentation.seeded_layer import derived_seed
from vac_tf.inputs.augmentation.specification import AugmentLayers
from vac_tf.inputs.autotuning import without_autotuning
from vac_tf.inputs.batch_sizes import check_full_batch, smallest_batch
from vac_tf.inputs.decoding import as_it_is
from vac_tf.inputs.image_source import ImageSource

# Number of the first layer's decisions: those of the transforms are counted from 0 and from -1.
_FIRST_LAYER = 1000


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Plain augmentation: transforms whose versions keep the labels of the original.

    `mode="random"`: each transform with probability 0.5 per example (scaling: per batch).
    `mode="union"`: every epoch holds the original and each transformed version; with
    `from_photograph` a scaled one is resized from the photograph and not from the network's input.
    `layers` come after them: those of single images, drawn for each (seed, epoch, example), then
    those that mix a batch, drawn for each (seed, epoch, step, replica).
    """

    transforms: tuple[Transform, ...] = ()
    mode: str = "random"
    from_photograph: bool = False
    layers: AugmentLayers = AugmentLayers()

    @property
    def versions(self) -> tuple[Transform | None, ...]:
        """The versions of an image that an epoch holds; None is the original."""
        if self.mode == "union":
            return (None, *self.transforms)
        return (None,)


class TrainingBatches:
    """The batches of every epoch of a training run.

    Args:
        source: Images of the training split.
        labels: float32 `[N, L]`, NaN where unknown.
        batch_size: Images per batch.
        seed: Decides the order and the augmentation.
        augmentation: See `Augmentation`.
        drop_remainder: Leave the last partial batch out.
        scaled_views: Scalings whose view comes with every image, resized from the photograph.
        weights: float32 `[N]`, what each image counts for; None: all alike. Not with layers that
            mix the images of a batch.
    """

    def __init__(
        self,
        source: ImageSource,
        labels: np.ndarray,
        batch_size: int,
        seed: int,
        augmentation: Augmentation = Augmentation(),
        drop_remainder: bool = False,
        scaled_views: tuple[Scaling, ...] = (),
        weights: np.ndarray | None = None,
    ):
        self.source = source
        self.labels = tf.constant(labels, tf.float32)
        self.batch_size = batch_size
        self.seed = seed
        self.augmentation = augmentation
        self.drop_remainder = drop_remainder
        self.scaled_views = scaled_views
        self.weights = None if weights is None else tf.constant(weights, tf.float32)
        if drop_remainder:
            check_full_batch(len(labels), batch_size, augmentation.versions)
        if weights is not None and augmentation.layers.of_batch:
            raise ValueError(
                "The examples have weights, and a mixture of two images has none of its own: leave"
                " mixup and cutmix out, or the weights."
            )

    @property
    def steps_per_epoch(self) -> int:
        return len(self._plan(0))

    @property
    def smallest_batch(self) -> int:
        """Images of the smallest batch of an epoch: of its last partial one, if there is one."""
        versions = self.augmentation.versions
        return smallest_batch(len(self.labels), self.batch_size, self.drop_remainder, versions)

    def image_paths(self, epoch: int, steps: range) -> list[str]:
        """The files of the images in some steps of epoch `epoch` (both from 0), in their order."""
        plan = self._plan(epoch)[steps.start : steps.stop]
        examples = dict.fromkeys(int(example) for _, rows in plan for example in rows[:, 0])
        return [self.source.split.image_paths[example] for example in examples]

    def epoch(
        self, epoch: int, start_step: int = 0, replicas: range = range(1), num_replicas: int = 1
    ) -> tf.data.Dataset:
        """Batches of epoch `epoch` from step `start_step` on.

        Args:
            epoch: counted from 0.
            start_step: steps to leave out.
            replicas: whose parts of every batch to load, one part an element.
            num_replicas: between which every batch is shared out, as evenly as it can be.

        Returns:
            Dataset of images float32 `[B, H, W, 3]` in 0..255 and labels float32 `[B, L]`, and
            weights `[B]` where there are any. With `scaled_views` images are a dict: `images`, and
            each scaled view by its `spec`.
        """
        plan = [
            (pool, np.array_split(rows, num_replicas)[replica])
            for pool, rows in self._plan(epoch)[start_step:]
            for replica in replicas
        ]
        pools = []
        for version, transform in enumerate(self._pool_transforms()):
            rows = [batch for pool, batch in plan if pool == version]
            pools.append(self._pool(rows, transform, epoch))
        if len(pools) == 1:
            dataset = pools[0]
        else:
            order = np.array([pool for pool, _ in plan], "int64")
            choices = tf.data.Dataset.from_tensor_slices(order)
            dataset = tf.data.Dataset.choose_from_datasets(pools, choices)
        dataset = self._mixed(dataset, epoch, start_step, replicas)
        dataset = self._scaled_at_random(dataset, epoch, start_step, len(replicas))
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(plan)))
        return without_autotuning(dataset.prefetch(2))

    def _pool_transforms(self):
        """Scaled versions make batches of their own: a batch has one image size."""
        scaled = [t for t in self.augmentation.versions if isinstance(t, Scaling)]
        return (None, *scaled)

    def _plan(self, epoch):
        """The epoch's batches in order: (pool, `[B, 2]` rows of (example, version))."""
        generator = np.random.default_rng((self.seed, epoch))
        pools = [self._pool_batches(scaling, generator) for scaling in self._pool_transforms()]
        order = np.repeat(np.arange(len(pools)), [len(batches) for batches in pools])
        # Only the pools are mixed: inside its pool a partial batch stays last.
        remaining = [iter(batches) for batches in pools]
        return [(int(pool), next(remaining[pool])) for pool in generator.permutation(order)]

    def _pool_batches(self, scaling, generator):
        members = [
            number
            for number, version in enumerate(self.augmentation.versions)
            if (version is scaling if scaling else not isinstance(version, Scaling))
        ]
        examples = np.arange(len(self.labels))
        rows = np.stack(np.meshgrid(examples, members, indexing="ij"), -1).reshape(-1, 2)
        rows = generator.permutation(rows)
        starts = range(0, len(rows), self.batch_size)
        batches = [rows[start : start + self.batch_size] for start in starts]
        if self.drop_remainder and len(batches[-1]) < self.batch_size:
            batches.pop()
        return batches

    def _pool(self, batches, scaling, epoch):
        from_photograph = scaling and self.augmentation.from_photograph
        size = scaling.size if from_photograph else self.source.settings.image_size
        dataset = None
        for run in _runs(batches) or [[np.zeros((0, 2), "int64")]]:
            examples = tf.data.Dataset.from_tensor_slices(np.concatenate(run)).map(
                as_it_is(lambda row: self._example(row, epoch, size)),
                tf.data.AUTOTUNE,
                deterministic=True,
            )
            part = examples.batch(max(len(run[0]), 1))
            dataset = part if dataset is None else dataset.concatenate(part)
        if scaling and not from_photograph:
            dataset = dataset.map(
                as_it_is(lambda images, *others: (scaling.images(images), *others))
            )
        return dataset

    def _example(self, row, epoch, size):
        sizes = (size, *(scaling.size for scaling in self.scaled_views))
        views = [self._augmented(view, row, epoch) for view in self.source.views(row[0], sizes)]
        weights = () if self.weights is None else (self.weights[row[0]],)
        return _by_name(views, self.scaled_views), self.labels[row[0]], *weights

    def _augmented(self, image, row, epoch):
        shape = image.shape
        if self.augmentation.mode == "union":
            branches = [
                (lambda t=t: image if t is None or isinstance(t, Scaling) else alone(t, image))
                for t in self.augmentation.versions
            ]
            image = tf.switch_case(tf.cast(row[1], tf.int32), branches)
        else:
            for number, transform in enumerate(self.augmentation.transforms):
                if not isinstance(transform, Scaling):
                    seed = seed_of(self.seed, epoch, row[0], number)
                    image = maybe(seed, transform, image)
        image = tf.ensure_shape(image, shape)
        for number, layer in enumerate(self.augmentation.layers.of_image, _FIRST_LAYER):
            seed = seed_of(self.seed, epoch, row[0], number)
            image = layer(image, derived_seed(seed, row[1]))
        return image

    def _mixed(self, dataset, epoch, start_step, replicas):
        layers = self.augmentation.layers.of_batch

        def mix(position, batch):
            step = position // len(replicas) + start_step
            replica = position % len(replicas) + replicas.start
            for number, layer in enumerate(layers, _FIRST_LAYER):
                seed = seed_of(self.seed, epoch, step, -number)
                batch = layer(*batch, derived_seed(seed, replica))
            return batch

        if not layers:
            return dataset
        return dataset.enumerate().map(as_it_is(mix), tf.data.AUTOTUNE, deterministic=True)

    def _scaled_at_random(self, dataset, epoch, start_step, parts_per_step):
        if self.augmentation.mode == "union":
            return dataset
        for number, transform in enumerate(self.augmentation.transforms):
            if isinstance(transform, Scaling):

                def scale(step, batch, transform=transform, number=number):
                    images, *others = batch
                    step = step // parts_per_step + start_step
                    chosen = is_chosen(seed_of(self.seed, epoch, step, -1 - number))
                    scaled = tf.cond(chosen, lambda: transform.images(images), lambda: images)
                    return scaled, *others

                dataset = dataset.enumerate().map(as_it_is(scale))
        return dataset


def evaluation_batches(
    source: ImageSource,
    labels: np.ndarray,
    batch_size: int,
    scaled_views: tuple[Scaling, ...] = (),
):
    """Every image of the source once, in order: (images, labels) batches, the last one partial.

    With `scaled_views` images are a dict, as in `TrainingBatches.epoch`.
    """
    indices = tf.data.Dataset.range(len(labels))
    labels = tf.constant(labels, tf.float32)
    sizes = (source.settings.image_size, *(scaling.size for scaling in scaled_views))

    def example(index):
        return _by_name(source.views(index, sizes), scaled_views), labels[index]

    dataset = indices.map(as_it_is(example), tf.data.AUTOTUNE, deterministic=True)
    # tf.data allocates a batch whole before it fills it: none is larger than the data.
    size = min(batch_size, max(len(labels), 1))
    return without_autotuning(dataset.batch(size).prefetch(2))


def _runs(batches):
    """Consecutive batches that `Dataset.batch` cuts: of one size, but for a smaller last one."""
    runs = []
    for batch in batches:
        if runs and len(runs[-1][0]) == len(runs[-1][-1]) >= len(batch):
            runs[-1].append(batch)
        else:
            runs.append([batch])
    return runs


def _by_name(views, scaled_views):
    """The image alone, or a dict of it and its scaled views."""
    image, *scaled = views
    if not scaled:
        return image
    pairs = zip(scaled_views, scaled, strict=True)
    return {"images": image} | {scaling.spec: view for scaling, view in pairs}

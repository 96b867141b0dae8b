"""Seconds of a training step, and of a prediction, at other sizes, views, batches and labels."""

import dataclasses
import time
from collections.abc import Callable, Iterator

import keras
import numpy as np

from vac_tf.models import build_classifier
from vac_tf.training.consistency.settings import Consistency
from vac_tf.training.consistency_trainer import ConsistencyTrainer
from vac_tf.transforms import HorizontalFlip, Scaling


@dataclasses.dataclass(frozen=True)
class Step:
    """What a step computes.

    Attributes:
        image_size: Height and width of the images in pixels.
        views: 1; 2, with the mirror image; or 4, both of them also at 6/7 of the size.
        batch_size: Images, of which each has all views.
        labels: L.
    """

    image_size: int
    views: int
    batch_size: int
    labels: int


@dataclasses.dataclass(frozen=True)
class Speed:
    """What was measured of a step.

    Attributes:
        images_per_second: By the clock: the median step.
        processor_ms: Milliseconds of the processor an image, of all threads: the median step.
    """

    images_per_second: float
    processor_ms: float


def around(base: Step) -> list[Step]:
    """The step itself, and those that differ from it in one thing."""
    others = {
        "image_size": [base.image_size // 2, base.image_size * 3 // 2, base.image_size * 2],
        "views": [1, 2, 4],
        "batch_size": [base.batch_size // 4, base.batch_size // 2, base.batch_size * 2],
        "labels": [14, 80, 400],
    }
    steps = [
        dataclasses.replace(base, **{name: value})
        for name, values in others.items()
        for value in values
    ]
    return list(dict.fromkeys([base, *steps]))


def train_speed(step: Step, backbone: str, count: int) -> Speed:
    """The speed of training steps on images that are in memory."""
    trainer, images, labels = _trainer(step, backbone)
    return _speed(lambda: trainer.train_on_batch(images, labels), step.batch_size, count)


def prediction_speed(step: Step, backbone: str, count: int) -> Speed:
    """The speed of the network alone, one view each, on images that are in memory."""
    trainer, images, _ = _trainer(step, backbone)
    return _speed(lambda: trainer.predict_on_batch(images), step.batch_size, count)


def _trainer(step: Step, backbone: str) -> tuple[ConsistencyTrainer, np.ndarray, np.ndarray]:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    transforms = {
        1: (),
        2: (HorizontalFlip(),),
        4: (HorizontalFlip(), Scaling(step.image_size * 6 // 7)),
    }[step.views]
    pairs = "grid" if step.views == 4 else Consistency().pairs
    network = build_classifier(backbone, step.labels)
    ratio = np.full(step.labels, 0.3, "float32")
    trainer = ConsistencyTrainer(network, ratio, transforms, Consistency(pairs=pairs))
    trainer.compile(optimizer=keras.optimizers.SGD(1e-3, 0.9))
    generator = np.random.default_rng(0)
    side = step.image_size
    images = generator.uniform(0, 255, (step.batch_size, side, side, 3)).astype("float32")
    labels = (generator.random((step.batch_size, step.labels)) < 0.3).astype("float32")
    return trainer, images, labels


def _speed(run: Callable[[], object], images: int, count: int) -> Speed:
    run()  # Traces and builds.
    times = np.array(list(_times(run, count)))
    seconds, processor_seconds = np.median(times, axis=0)
    return Speed(images / seconds, 1e3 * processor_seconds / images)


def _times(run: Callable[[], object], count: int) -> Iterator[tuple[float, float]]:
    for _ in range(count):
        clock, processor = time.perf_counter(), time.process_time()
        run()
        yield time.perf_counter() - clock, time.process_time() - processor

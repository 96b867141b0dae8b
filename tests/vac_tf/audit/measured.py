"""Models of known consistency, shown random images."""

import numpy as np

from vac_tf.audit.measurement import measure
from vac_tf.configs.viewed_model import VIEWS
from vac_tf.explanation.model import HeatmapModel
from vac_tf.explanation.picture import Picture
from vac_tf.geometry.array_views import Frame, views_of

SIDE, LABELS = 8, ("red", "green", "blue")


def channel_model(place=0.0):
    """Heatmaps are the channels plus `place` times the column: with 0 they follow exactly."""

    def predict(images):
        heatmaps = images + np.float32(place) * np.arange(images.shape[2])[None, None, :, None]
        logits = (heatmaps.mean(axis=(1, 2)) - 128) / 8
        return (1 / (1 + np.exp(-logits))).astype(np.float32), heatmaps.astype(np.float32)

    thresholds = np.full(3, 0.5, np.float32)
    return HeatmapModel("channels", "test", LABELS, thresholds, Frame(SIDE, SIDE, 1), predict)


def pictures(count=6, seed=0, broken=()):
    random = np.random.default_rng(seed)
    for number in range(count):
        if number in broken:
            yield Picture(f"{number}.png", f"{number}.png", problem="broken", status="unreadable")
            continue
        values = random.uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
        yield Picture(f"{number}.png", f"{number}.png", values, values.astype(np.uint8))


def measured(model=None, kinds=VIEWS, examples=0, **values):
    model = model or channel_model()
    views, _ = views_of(kinds, model.frame)
    return measure(model, pictures(**values), views, batch_size=4, examples=examples)

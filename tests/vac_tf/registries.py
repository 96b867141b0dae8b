"""What a test registers is gone after it."""

from collections.abc import Iterator

import pytest

from vac_tf import datasets
from vac_tf.configs.classification import DATASETS
from vac_tf.configs.training.loss import SETTINGS_OF_A_LOSS
from vac_tf.geometry import transforms
from vac_tf.models.backbones import BACKBONES
from vac_tf.training.step.classification_loss import LOSSES


@pytest.fixture
def own_names() -> Iterator[None]:
    """Inside, the registries may get names."""
    registries = (BACKBONES, LOSSES, SETTINGS_OF_A_LOSS, DATASETS)
    registries += (datasets._READERS, transforms._TRANSFORMS)
    before = [dict(registry) for registry in registries]
    yield
    for registry, entries in zip(registries, before, strict=True):
        registry.clear()
        registry.update(entries)

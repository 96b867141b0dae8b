"""Multi-label image classification that shows where it looks, in Keras 3 / TensorFlow.

What most users call is found here by name and loaded at its first use: `import vac_tf` alone is
instant and imports no TensorFlow. Everything else is in the rooms (`vac_tf.losses`, ...).
"""

import importlib
from typing import Any

# Name -> the module that defines it. Literal: what stands here is what there is.
_PUBLIC = {
    "Model": "vac_tf.inference.model",
    "Split": "vac_tf.datasets",
    "build_classifier": "vac_tf.models",
    "evaluate": "vac_tf.inference.evaluation",
    "load": "vac_tf.inference.model",
    "read_split": "vac_tf.datasets",
    "register_backbone": "vac_tf.models.registration",
    "register_dataset": "vac_tf.datasets",
    "register_loss": "vac_tf.training.step.classification_loss",
    "register_transform": "vac_tf.transforms",
    "train": "vac_tf.training.custom.train",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(
            f"module 'vac_tf' has no attribute {name!r}. It has: {', '.join(sorted(_PUBLIC))};"
            f" a room, such as vac_tf.losses, is imported by its own name."
        )
    value = globals()[name] = getattr(importlib.import_module(_PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})

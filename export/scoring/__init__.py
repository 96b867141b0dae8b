"""From a bundle to scores: `export.scoring.load("model.onnx")("photo.jpg")`, and score.py's jobs.

Needs neither TensorFlow nor this project's library; `load` is imported at its first use.
"""

import importlib
from typing import Any

_PUBLIC = {"load": "export.scoring.inference.model"}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'export.scoring' has no attribute {name!r}.")
    value = globals()[name] = getattr(importlib.import_module(_PUBLIC[name]), name)
    return value

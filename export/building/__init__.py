"""From a network to a bundle; needs TensorFlow. `export_network` is imported at its first use."""

import importlib
from typing import Any

_PUBLIC = {"export_network": "export.building.network_export"}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'export.building' has no attribute {name!r}.")
    value = globals()[name] = getattr(importlib.import_module(_PUBLIC[name]), name)
    return value

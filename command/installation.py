"""What is installed: distributions, TensorFlow with its devices, and the optional parts."""

import importlib
import importlib.metadata
import importlib.util

from command.extras import EXTRAS, IS_INSTALLED, how_to_install, missing_packages
from command.programs import LIBRARY, SCORING
from command.version import VERSION

_USES = {SCORING: "score, serve, doctor", LIBRARY: "train, evaluate, export and the others"}


def describe_installation() -> str:
    """Lines for `vac doctor`: each part, and the command that brings it where it is missing.

    TensorFlow is imported, where it is there, to ask it for its devices.
    """
    width = max(map(len, (*EXTRAS, *_USES)))
    lines = [f"{'vac':{width}}  {VERSION}"]
    lines += [f"{name:{width}}  {_distribution(name)}" for name in (SCORING, LIBRARY)]
    lines.append(f"{'tensorflow':{width}}  {_tensorflow()}")
    for name, extra in EXTRAS.items():
        missing = missing_packages(name)
        state = f"missing ({', '.join(missing)}): {how_to_install(extra.distribution, name)}"
        lines.append(f"{name:{width}}  {state if missing else 'there'}  - {extra.use}")
    return "\n".join(lines)


def _distribution(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        state = f"missing: {how_to_install(name)}" if IS_INSTALLED else "this checkout"
        return f"{state}  - {_USES[name]}"


def _tensorflow() -> str:
    if importlib.util.find_spec("tensorflow") is None:
        return "not here; scoring needs none"
    try:
        # By name: what scores reaches no TensorFlow, and only the doctor asks it.
        tensorflow = importlib.import_module("tensorflow")
        devices = tensorflow.config.list_physical_devices()
    except Exception as error:  # Whatever is broken: a library of the system, one of another build.
        return f"is there, but cannot be used: {' '.join(str(error).split())}"
    devices = [device.name.split(":", 1)[1] for device in devices]
    return f"{tensorflow.__version__} on {', '.join(devices)}"

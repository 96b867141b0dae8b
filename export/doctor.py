"""What is installed on a scoring host, what is wrong with it, and what mends it."""

import ctypes
import dataclasses
import importlib
import importlib.metadata
import os
import platform
import re
from collections.abc import Mapping, Sequence

from export.providers import gpu_is_visible

_PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "numpy",
    "pillow",
    "pyarrow",
    "absl-py",
    "tensorflow",
)
_DRIVER_FILE = "/proc/driver/nvidia/version"
_LIBRARY = "libonnxruntime_providers_{}.so"
_CUDA = "CUDAExecutionProvider"
# The oldest driver that runs programs of a CUDA version (NVIDIA's table of compatibility, Linux).
_OLDEST_DRIVER = {12: 525, 13: 580}


@dataclasses.dataclass(frozen=True)
class HostFacts:
    """What was found.

    Attributes:
        packages: Version of each installed package.
        runtime_error: Why ONNX Runtime cannot be imported, or empty.
        providers: Execution providers that it lists.
        gpu_visible: Whether this process could use an NVIDIA GPU.
        driver: Version of the NVIDIA driver, or empty.
        cuda_version: Major version of CUDA that the CUDA provider was built for, or 0.
        cuda_error: What the system says when the CUDA provider's library is loaded, or empty.
    """

    packages: Mapping[str, str]
    runtime_error: str = ""
    providers: Sequence[str] = ()
    gpu_visible: bool = False
    driver: str = ""
    cuda_version: int = 0
    cuda_error: str = ""


def examine_host() -> HostFacts:
    """Looks at this host. Nothing is changed; libraries of CUDA are loaded into this process."""
    installed = {d.name.lower(): d.version for d in importlib.metadata.distributions() if d.name}
    # NVIDIA's wheels bring the libraries of CUDA.
    names = [*_PACKAGES, *sorted(name for name in installed if name.startswith("nvidia-"))]
    packages = {name: installed[name] for name in names if name in installed}
    gpu_visible, driver = gpu_is_visible(), _driver_version()
    try:
        onnxruntime = importlib.import_module("onnxruntime")
        providers = onnxruntime.get_available_providers()
    except (ImportError, AttributeError) as error:  # Two packages mixed give either.
        return HostFacts(packages, str(error), (), gpu_visible, driver)
    facts = HostFacts(packages, "", providers, gpu_visible, driver)
    if _CUDA not in providers:
        return facts
    folder = os.path.join(os.path.dirname(onnxruntime.__file__), "capi")
    version, error = _built_for(folder), _load_cuda(folder)
    return dataclasses.replace(facts, cuda_version=version, cuda_error=error)


def _driver_version() -> str:
    if not os.path.exists(_DRIVER_FILE):
        return ""
    with open(_DRIVER_FILE, encoding="utf-8") as file:
        match = re.search(r"\b(\d+\.\d+(\.\d+)?)\b", file.read())
    return match.group(1) if match else ""


def _built_for(folder: str) -> int:
    """The provider names the libraries that it needs near its beginning."""
    with open(os.path.join(folder, _LIBRARY.format("cuda")), "rb") as file:
        match = re.search(rb"libcublasLt\.so\.(\d+)", file.read(1 << 26))
    return int(match.group(1)) if match else 0


def _load_cuda(folder: str) -> str:
    """The system's own words when the CUDA provider cannot be loaded: they name the library."""
    try:
        for name in ("shared", "cuda"):
            ctypes.CDLL(os.path.join(folder, _LIBRARY.format(name)), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return str(error)
    return ""


def find_problems(facts: HostFacts) -> list[str]:
    """What is wrong, each with the command that mends it; empty for a host that can score.

    A host without a GPU is not wrong. A GPU that cannot be used is.
    """
    packages, problems = facts.packages, []
    if {"onnxruntime", "onnxruntime-gpu"} <= packages.keys():
        problems.append(
            "Both onnxruntime and onnxruntime-gpu are installed and overwrite each other. Mend:"
            " pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
        )
    elif facts.runtime_error:
        problems.append(
            f"ONNX Runtime cannot be imported: {facts.runtime_error}. Mend: pip install -r"
            " requirements-scoring.txt"
        )
    if "pyarrow" not in packages:
        problems.append("Parquet needs pyarrow. Mend: pip install pyarrow, or write .csv or .jsonl")
    if facts.gpu_visible and not facts.runtime_error:
        problems += _gpu_problems(facts)
    return problems


def _gpu_problems(facts: HostFacts) -> list[str]:
    if _CUDA not in facts.providers:
        return [
            "A GPU is visible, and this ONNX Runtime was built without CUDA. Mend: pip uninstall"
            " -y onnxruntime && pip install onnxruntime-gpu"
        ]
    problems = []
    oldest = _OLDEST_DRIVER.get(facts.cuda_version, 0)
    if facts.driver and int(facts.driver.split(".")[0]) < oldest:
        problems.append(
            f"The driver {facts.driver} is too old for CUDA {facts.cuda_version}. Mend: install"
            f" driver {oldest} or newer"
        )
    if not facts.cuda_error:
        return problems
    if "tensorflow" in facts.packages:
        problems.append(
            "TensorFlow stands in the same environment and brings the libraries of another CUDA"
            " version. Mend: score in an environment of requirements-scoring.txt alone"
        )
    problems.append(
        f"The CUDA provider cannot be loaded: {facts.cuda_error}. Mend: pip install"
        " 'onnxruntime-gpu[cuda,cudnn]' in a fresh environment, or score with --providers=cpu"
    )
    return problems


def examine_model(path: str, providers: str) -> tuple[str, str]:
    """Opens a model as a job would.

    Returns:
        The execution provider in use and an empty text, or an empty text and what is wrong.
    """
    # Imported here: the rest must run where ONNX Runtime cannot be imported.
    from export.session import NetworkSession

    try:
        return NetworkSession(path, providers).provider, ""
    except ValueError as error:
        return "", str(error)


def consult_doctor(model: str, providers: str) -> tuple[str, bool]:
    """What `score.py --doctor` prints, and whether all is well.

    Args:
        model: Optional model file to open.
        providers: Where it shall run.
    """
    facts = examine_host()
    problems = find_problems(facts)
    lines = _describe(facts)
    if model and not facts.runtime_error:
        provider, problem = examine_model(model, providers)
        lines.append(f"model      {f'opens on {provider}' if provider else 'does not open'}")
        problems += [problem] if problem else []
    lines += [f"PROBLEM    {problem}" for problem in problems] or ["No problem found."]
    return "\n".join(lines), not problems


def _describe(facts: HostFacts) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in facts.packages.items())
    driver = f"driver {facts.driver}" if facts.driver else "no NVIDIA driver"
    cuda = "not in this build"
    if _CUDA in facts.providers:
        state = facts.cuda_error or "can be loaded"
        cuda = f"provider built for CUDA {facts.cuda_version}: {state}"
    return [
        f"Python     {platform.python_version()} on {platform.platform()}",
        f"packages   {packages}",
        f"providers  {', '.join(facts.providers) or 'none'}",
        f"GPU        {'visible' if facts.gpu_visible else 'not visible'}, {driver}",
        f"CUDA       {cuda}",
    ]

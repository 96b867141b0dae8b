"""What is installed on a scoring host, and what of the GPU it shows."""

import contextlib
import ctypes
import dataclasses
import importlib
import importlib.metadata
import io
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from export.scoring.runtime.host_limits import gpu_is_visible

CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
CPU = "CPUExecutionProvider"

_PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "numpy",
    "pillow",
    "simplejpeg",
    "cykooz-resizer",
    "pyarrow",
    "absl-py",
    "tensorflow",
)
_DRIVER_FILE = "/proc/driver/nvidia/version"
_CUDNN = "libcudnn.so.9"


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
        cudnn_error: The same of cuDNN, which the provider loads with the first convolution.
        tensorrt_error: The same of the TensorRT provider's library.
    """

    packages: Mapping[str, str]
    runtime_error: str = ""
    providers: Sequence[str] = ()
    gpu_visible: bool = False
    driver: str = ""
    cuda_version: int = 0
    cuda_error: str = ""
    cudnn_error: str = ""
    tensorrt_error: str = ""


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
    folder = os.path.join(os.path.dirname(onnxruntime.__file__ or ""), "capi")
    if CUDA not in providers or not os.path.exists(_provider_library(folder, "cuda")):
        return facts
    preload_libraries(onnxruntime)
    return dataclasses.replace(
        facts,
        cuda_version=_built_for(folder),
        cuda_error=_load_error(*(_provider_library(folder, name) for name in ("shared", "cuda"))),
        cudnn_error=_load_error(_CUDNN),
        tensorrt_error=_load_error(_provider_library(folder, "tensorrt")),
    )


def preload_libraries(onnxruntime: Any) -> None:
    """Loads the libraries of CUDA and cuDNN that NVIDIA's wheels brought, where they lie.

    They stand outside the system's search path. What cannot be loaded shows up later, in the
    provider's own words.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()


def _provider_library(folder: str, name: str) -> str:
    return os.path.join(folder, f"libonnxruntime_providers_{name}.so")


def _driver_version() -> str:
    if not os.path.exists(_DRIVER_FILE):
        return ""
    with open(_DRIVER_FILE, encoding="utf-8") as file:
        match = re.search(r"\b(\d+\.\d+(\.\d+)?)\b", file.read())
    return match.group(1) if match else ""


def _built_for(folder: str) -> int:
    """The provider names the libraries that it needs near its beginning."""
    with open(_provider_library(folder, "cuda"), "rb") as file:
        match = re.search(rb"libcublasLt\.so\.(\d+)", file.read(1 << 26))
    return int(match.group(1)) if match else 0


def _load_error(*libraries: str) -> str:
    """The system's own words when a library cannot be loaded: they name the one that is missing."""
    try:
        for library in libraries:
            ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return str(error)
    return ""

"""Where a network runs: the GPU that was asked for, or a reason why not; never a silent CPU."""

import glob
import importlib.metadata
import os
from collections.abc import Sequence

_GPU_PROVIDERS = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_CPU_PROVIDER = "CPUExecutionProvider"


class ProviderError(ValueError):
    """The execution provider that was asked for cannot be used; the message says why."""


def choose_providers(choice: str, available: Sequence[str], gpu_visible: bool) -> list[str]:
    """The execution providers to ask ONNX Runtime for, best first.

    Args:
        choice: `auto`, `cuda`, `tensorrt` or `cpu`. `auto` means CUDA where a GPU is visible.
        available: What `onnxruntime.get_available_providers()` lists.
        gpu_visible: Whether this process could use an NVIDIA GPU.

    Raises:
        ProviderError: for a GPU that this ONNX Runtime cannot use.
    """
    if choice == "cpu" or (choice == "auto" and not gpu_visible):
        return [_CPU_PROVIDER]
    wanted = _GPU_PROVIDERS["cuda" if choice == "auto" else choice]
    if wanted not in available:
        raise ProviderError(diagnose(wanted, available, gpu_visible))
    # TensorRT leaves nodes that it does not know to CUDA.
    also = [_GPU_PROVIDERS["cuda"]] if choice == "tensorrt" else []
    return [wanted, *(name for name in also if name in available), _CPU_PROVIDER]


def check_provider(
    wanted: Sequence[str], in_use: Sequence[str], available: Sequence[str], gpu_visible: bool
) -> None:
    """Raises ProviderError when a session runs without the first provider asked for."""
    if wanted[0] not in in_use:
        raise ProviderError(diagnose(wanted[0], available, gpu_visible))


def gpu_is_visible() -> bool:
    """Whether the NVIDIA driver shows a GPU that CUDA_VISIBLE_DEVICES does not hide."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1"):
        return False
    # The last is a GPU under the Windows Subsystem for Linux.
    devices = ("/dev/nvidia[0-9]*", "/proc/driver/nvidia/gpus/*", "/dev/dxg")
    return any(glob.glob(pattern) for pattern in devices)


def diagnose(wanted: str, available: Sequence[str], gpu_visible: bool) -> str:
    """Why `wanted` cannot be used and what mends it, as one message."""
    packages = {
        name: version
        for name in ("onnxruntime", "onnxruntime-gpu", "tensorflow")
        if (version := _installed_version(name))
    }
    installed = ", ".join(f"{name} {version}" for name, version in packages.items())
    facts = f"Installed: {installed}; ONNX Runtime lists {', '.join(available)}."
    return f"{wanted} cannot be used. {_cause(wanted, available, gpu_visible, packages)} {facts}"


def _cause(wanted, available, gpu_visible, packages) -> str:
    on_cpu = "Or score on the CPU with --providers=cpu."
    if not gpu_visible:
        return (
            "No NVIDIA GPU is visible: check nvidia-smi, CUDA_VISIBLE_DEVICES, and --gpus for a"
            f" container. {on_cpu}"
        )
    if {"onnxruntime", "onnxruntime-gpu"} <= packages.keys():
        return (
            "Both onnxruntime and onnxruntime-gpu are installed and overwrite each other: pip"
            " uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu."
        )
    if wanted not in available:
        return (
            "This ONNX Runtime was built without it: pip uninstall -y onnxruntime && pip install"
            f" onnxruntime-gpu. {on_cpu}"
        )
    mixed = " TensorFlow wants another CUDA version: use an environment without it."
    return (
        "The GPU is visible but the provider did not start: its libraries (CUDA, cuDNN, for"
        " tensorrt also TensorRT) are missing or of another major version, or the driver is too"
        " old. In a fresh environment: pip install 'onnxruntime-gpu[cuda,cudnn]'."
        f"{mixed if 'tensorflow' in packages else ''} {on_cpu}"
    )


def _installed_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None

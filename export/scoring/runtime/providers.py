"""Where a network runs: the GPU that was asked for, or a reason why not; never a silent CPU."""

import dataclasses
import os
from collections.abc import Sequence

from export.scoring.runtime.host_facts import CPU, CUDA, TENSORRT, HostFacts, examine_host
from export.scoring.runtime.host_problems import gpu_problems, runtime_problems, tensorrt_problems

_NO_GPU = (
    "No NVIDIA GPU is visible. Mend: check nvidia-smi and CUDA_VISIBLE_DEVICES, and start a"
    " container with --gpus=all"
)
_GPU_PROVIDERS = {"cuda": CUDA, "tensorrt": TENSORRT}


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
        return [CPU]
    wanted = _GPU_PROVIDERS["cuda" if choice == "auto" else choice]
    if wanted not in available or not gpu_visible:
        facts = dataclasses.replace(
            examine_host(), providers=tuple(available), gpu_visible=gpu_visible
        )
        raise ProviderError(diagnose(wanted, facts))
    # TensorRT leaves nodes that it does not know to CUDA.
    also = [CUDA] if choice == "tensorrt" else []
    return [wanted, *(name for name in also if name in available), CPU]


def provider_options(
    provider: str, model_sha256: str, gpu_memory_mb: int = 0, gpu: int = 0
) -> dict[str, str]:
    """The options to open a session with.

    Args:
        provider: Name of an execution provider.
        model_sha256: Hash of the model file.
        gpu_memory_mb: Most memory of the GPU's arena in MiB; 0: no limit.
        gpu: Number of the GPU, as CUDA counts those that it shows.
    """
    limit = str(gpu_memory_mb * 2**20)
    if provider == CUDA:
        options = {
            "device_id": str(gpu),
            # Doubling, the default, can take nearly twice the memory that a fixed shape needs.
            "arena_extend_strategy": "kSameAsRequested",
            # The default tries every algorithm for each convolution: minutes, and new results.
            "cudnn_conv_algo_search": "HEURISTIC",
            # The file's parity was measured in float32; who wants less exports FP16.
            "use_tf32": "0",
        }
        return options | ({"gpu_mem_limit": limit} if gpu_memory_mb else {})
    if provider == TENSORRT:
        # An engine takes minutes to build, and belongs to one model, GPU and version.
        cache = engine_cache(model_sha256)
        options = {"device_id": str(gpu), "trt_engine_cache_enable": "True"}
        options["trt_engine_cache_path"] = cache
        return options | ({"trt_max_workspace_size": limit} if gpu_memory_mb else {})
    return {}


def engine_cache(model_sha256: str) -> str:
    """Folder of the engines that TensorRT builds for a model.

    ONNX Runtime tells engines apart by names and shapes only, not by weights: in one folder for
    all, a network that was trained again would get the scores of the one before.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "vac_tf", "tensorrt", model_sha256)


def check_provider(wanted: Sequence[str], in_use: Sequence[str]) -> None:
    """Raises ProviderError when a session runs without the first provider asked for."""
    if wanted[0] not in in_use:
        raise ProviderError(diagnose(wanted[0], examine_host()))


def diagnose(wanted: str, facts: HostFacts, error: str = "") -> str:
    """Why `wanted` cannot be used and what mends it, as one message.

    Args:
        wanted: Name of an execution provider.
        facts: What was found on the host.
        error: What ONNX Runtime said.
    """
    causes = " ".join(f"{cause}." for cause in _causes(wanted, facts))
    said = f" ONNX Runtime says: {error}" if error else ""
    installed = ", ".join(f"{name} {version}" for name, version in facts.packages.items())
    return (
        f"{wanted} cannot be used. {causes} Or score on the CPU with --providers=cpu.{said}"
        f" Installed: {installed}; ONNX Runtime lists {', '.join(facts.providers)}."
    )


def missing_provider(choice: str, facts: HostFacts) -> list[str]:
    """Why the provider that `--providers` names cannot be used, without opening a model.

    Args:
        choice: `auto`, `cuda`, `tensorrt` or `cpu`; the first and the last always can.
        facts: What was found on the host.
    """
    wanted = _GPU_PROVIDERS.get(choice)
    if wanted is None:
        return []
    if not facts.gpu_visible:
        return [_NO_GPU]
    return tensorrt_problems(facts) if wanted == TENSORRT else []


def _causes(wanted: str, facts: HostFacts) -> list[str]:
    if not facts.gpu_visible:
        return [_NO_GPU]
    problems = runtime_problems(facts) + gpu_problems(facts)
    if wanted == TENSORRT:
        problems += tensorrt_problems(facts)
    return problems or [
        "The GPU is visible and the provider's libraries can be loaded, yet it did not start:"
        " another process may hold the GPU's memory (nvidia-smi says), or the driver hangs. Mend:"
        " free the GPU, or lower --batch_size and --gpu_memory_mb"
    ]

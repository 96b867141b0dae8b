"""What is wrong with a scoring host, and what mends it."""

import re

from export.scoring.runtime.host_facts import CUDA, TENSORRT, HostFacts

# The oldest driver that runs programs of a CUDA version (NVIDIA's table of compatibility, Linux).
_OLDEST_DRIVER = {12: 525, 13: 580}
_INSTALL_CUDA = (
    "pip install 'onnxruntime-gpu[cuda,cudnn]' in a fresh environment, or score with"
    " --providers=cpu"
)


def find_problems(facts: HostFacts) -> list[str]:
    """What is wrong, each with the command that mends it; empty for a host that can score.

    A host without a GPU is not wrong. A GPU that cannot be used is.
    """
    problems = runtime_problems(facts)
    if facts.gpu_visible and not facts.runtime_error:
        problems += gpu_problems(facts)
    return problems


def runtime_problems(facts: HostFacts) -> list[str]:
    """What is wrong with the installation of ONNX Runtime itself."""
    if {"onnxruntime", "onnxruntime-gpu"} <= facts.packages.keys():
        return [
            "Both onnxruntime and onnxruntime-gpu are installed and overwrite each other. Mend:"
            " pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
        ]
    if facts.runtime_error:
        return [
            f"ONNX Runtime cannot be imported: {facts.runtime_error}. Mend:"
            " pip install -r requirements-scoring.txt"
        ]
    return []


def gpu_problems(facts: HostFacts) -> list[str]:
    """Why a GPU that is visible cannot be used, each cause with the command that mends it."""
    if CUDA not in facts.providers:
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
    if "libcuda.so.1" in facts.cuda_error:
        return [
            *problems,
            "The driver's libcuda.so.1 is missing. Mend: install the NVIDIA driver; start a"
            " container with --gpus=all (NVIDIA container toolkit)",
        ]
    if facts.cuda_error or facts.cudnn_error:
        problems += _library_problems(facts)
    return problems


def tensorrt_problems(facts: HostFacts) -> list[str]:
    """Why TensorRT cannot be used where CUDA can."""
    if TENSORRT not in facts.providers:
        return [
            "This ONNX Runtime was built without TensorRT. Mend: pip install onnxruntime-gpu, or"
            " use --providers=cuda"
        ]
    if not facts.tensorrt_error:
        return []
    return [
        f"The TensorRT provider cannot be loaded: {facts.tensorrt_error}. Mend: pip install"
        f" tensorrt-cu{facts.cuda_version} and put its folder into LD_LIBRARY_PATH, or use"
        " --providers=cuda"
    ]


def _library_problems(facts: HostFacts) -> list[str]:
    problems = []
    if other := _other_cuda_packages(facts):
        problems.append(
            f"The libraries of another CUDA version are installed ({', '.join(other)}), this ONNX"
            f" Runtime was built for CUDA {facts.cuda_version}. Mend: {_INSTALL_CUDA}"
        )
    if "tensorflow" in facts.packages:
        problems.append(
            "TensorFlow stands in the same environment and brings the libraries of another CUDA"
            " version. Mend: score in an environment of requirements-scoring.txt alone"
        )
    if facts.cuda_error:
        problems.append(
            f"The CUDA provider cannot be loaded: {facts.cuda_error}. Mend: {_INSTALL_CUDA}"
        )
    if facts.cudnn_error:
        problems.append(f"cuDNN cannot be loaded: {facts.cudnn_error}. Mend: {_INSTALL_CUDA}")
    return problems


def _other_cuda_packages(facts: HostFacts) -> list[str]:
    """NVIDIA's packages whose name ends with another version of CUDA, such as `-cu12`."""
    names = (name for name in facts.packages if name.startswith("nvidia-"))
    matches = ((name, re.search(r"-cu(\d+)$", name)) for name in names)
    return [name for name, match in matches if match and int(match[1]) != facts.cuda_version]

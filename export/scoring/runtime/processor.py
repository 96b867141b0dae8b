"""The processor of this host, and whether a verdict on a precision was given on its kind."""

import os
import platform
import shlex
from typing import Any

from export.bundle.description import ModelDescription
from export.scoring.runtime.host_facts import CPU

_CPU_FILE = "/proc/cpuinfo"
# Their sums of 8-bit products do not saturate; AMX computes as VNNI does.
_VNNI_FLAGS = {"avx512_vnni", "avx_vnni", "amx_int8"}
_COMPARED = ("architecture", "vnni", "provider")


def describe_processor(provider: str) -> dict[str, Any]:
    """What decides how a reduced precision is computed here, as plain values.

    Args:
        provider: ONNX Runtime's execution provider.

    Returns:
        dict of `name` (of the processor, for readers), `architecture` (`x86_64`), `vnni` (whether
        it has the 8-bit instructions that do not saturate) and `provider`.
    """
    fields = _first_processor()
    return {
        "name": fields.get("model name") or platform.processor() or "unknown",
        "architecture": platform.machine(),
        "vnni": not _VNNI_FLAGS.isdisjoint(fields.get("flags", "").split()),
        "provider": provider,
    }


def _first_processor() -> dict[str, str]:
    """The facts that Linux tells of the first processor; none elsewhere."""
    if not os.path.exists(_CPU_FILE):
        return {}
    with open(_CPU_FILE, encoding="utf-8", errors="replace") as file:
        first = file.read().partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def compare_with_verdict(description: ModelDescription, provider: str, path: str) -> str:
    """A warning where the verdict on a model file was given on another kind of processor.

    Only fp16 and int8 depend on it: INT8 saturates on x86 without VNNI, and each provider has its
    own kernels.

    Args:
        description: What the file says of itself.
        provider: ONNX Runtime's execution provider in use.
        path: The file, for the message.

    Returns:
        The warning; empty where there is nothing to say.
    """
    if description.precision == "fp32" or not description.verdict:
        return ""
    here, there = describe_processor(provider), description.verdict.get("processor")
    again = _how_to_judge_again(description.precision, provider, path)
    if not isinstance(there, dict):
        return (
            f"{path!r} ({description.precision}) does not say on which processor it was judged;"
            f" its decisions may differ more on this one ({here['name']}).{again}"
        )
    different = [key for key in _COMPARED if there.get(key) != here[key]]
    if not different:
        return ""
    values = "; ".join(f"{key} {there.get(key)} there, {here[key]} here" for key in different)
    return (
        f"{path!r} ({description.precision}) was judged on another kind of processor than this:"
        f" {there.get('name')} ({values}). Its decisions may differ more here.{again}"
    )


def _how_to_judge_again(precision: str, provider: str, path: str) -> str:
    if provider != CPU:  # An export judges on the CPU, whatever the host has.
        return " Score some of your images with the fp32 file of its bundle too, and compare."
    folder = shlex.quote(os.path.dirname(path) or ".")
    return (
        " To judge again, run on this host, with the run that it was exported from: python"
        f" export_model.py --run_dir=RUN --bundle_dir={folder} --precisions=fp32,{precision}"
    )

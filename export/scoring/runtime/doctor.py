"""What score.py --doctor says of a scoring host."""

import platform

from export.scoring.runtime.cuda_devices import gpu_names
from export.scoring.runtime.device_choice import DeviceChoice
from export.scoring.runtime.host_facts import CUDA, HostFacts, examine_host
from export.scoring.runtime.host_problems import find_problems
from export.scoring.runtime.processor import compare_with_verdict
from export.scoring.runtime.providers import missing_provider


def examine_model(path: str, providers: str, devices: str = "") -> tuple[str, str, str]:
    """Opens a model on each device as a job would, and on a GPU runs it once.

    Returns:
        Where its nodes run, what a job would warn of, and what is wrong; each may be empty.
    """
    # Imported here: the rest must run where ONNX Runtime cannot be imported.
    from export.scoring.runtime.network_devices import NetworkDevices

    try:
        opened = NetworkDevices.open(path, providers, devices)
        opened.warm_up(1)  # cuDNN is not loaded before.
    except ValueError as error:
        return "", "", str(error)
    session, names = opened.first, list(opened.sessions)
    warning = compare_with_verdict(session.description, session.provider, path)
    where = f", on each of {', '.join(names)}" if len(names) > 1 else ""
    return f"{session.placement}{where}", warning, ""


def consult_doctor(model: str, providers: str, devices: str = "") -> tuple[str, bool]:
    """What `score.py --doctor` prints, and whether all is well.

    Args:
        model: Optional model file to open.
        providers: Where it shall run.
        devices: As `--devices`.
    """
    facts = examine_host()
    problems = find_problems(facts)
    if not model and not problems:
        has_gpus = DeviceChoice.parse(devices).has_gpus and providers == "auto"
        problems = missing_provider("cuda" if has_gpus else providers, facts)
    lines = _describe(facts)
    if model and not facts.runtime_error:
        placement, warning, problem = examine_model(model, providers, devices)
        lines.append(f"model      {f'opens: {placement}' if placement else 'does not open'}")
        lines += [f"WARNING    {warning}"] if warning else []
        problems += [problem] if problem else []
    lines += [f"PROBLEM    {problem}" for problem in problems] or ["No problem found."]
    return "\n".join(lines), not problems


def _describe(facts: HostFacts) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in facts.packages.items())
    driver = f"driver {facts.driver}" if facts.driver else "no NVIDIA driver"
    cuda = "not in this build"
    if CUDA in facts.providers:
        state = facts.cuda_error or facts.cudnn_error or "can be loaded"
        cuda = f"provider built for CUDA {facts.cuda_version}: {state}"
    gpus = "not visible"
    if facts.gpu_visible:
        gpus = f"visible ({_gpus()})"
    return [
        f"Python     {platform.python_version()} on {platform.platform()}",
        f"packages   {packages}",
        f"Parquet    {_parquet(facts)}",
        f"providers  {', '.join(facts.providers) or 'none'}",
        f"GPU        {gpus}, {driver}",
        f"CUDA       {cuda}",
    ]


def _parquet(facts: HostFacts) -> str:
    version = facts.packages.get("pyarrow")
    return f"by pyarrow {version}" if version else "needs pyarrow: pip install pyarrow"


def _gpus() -> str:
    """Number and name of the GPUs that CUDA shows, or why it cannot say."""
    try:
        return ", ".join(f"{number}: {name}" for number, name in enumerate(gpu_names())) or "none"
    except OSError as error:
        return str(error)

"""One network on every device of a job."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime

from export.scoring.runtime.cuda_devices import gpu_names
from export.scoring.runtime.device_choice import DeviceChoice
from export.scoring.runtime.host_facts import CPU, examine_host
from export.scoring.runtime.host_limits import gpu_is_visible, physical_cores
from export.scoring.runtime.providers import ProviderError, choose_providers, diagnose
from export.scoring.runtime.session import NetworkSession

_LOGGER = logging.getLogger(__name__)


class DeviceError(RuntimeError):
    """A device that computed before does so no more: it is lost, or its memory is too small."""

    exit_code = 3  # No fault of the program.


class NetworkDevices:
    """Sessions of one network, each on a device of its own.

    Attributes:
        sessions: By name of the device: `cpu`, or `cpu-1`, `cpu-2` for workers that share the CPU;
            `cuda:0` for a GPU.
        images: How many images each computed so far, by the same names; for others to read.

    Args:
        sessions: At least one.
    """

    def __init__(self, sessions: Mapping[str, NetworkSession]):
        self.sessions = dict(sessions)
        self.images = dict.fromkeys(self.sessions, 0)

    @classmethod
    def of(cls, session: NetworkSession) -> "NetworkDevices":
        """A session that is alone."""
        return cls({"cpu" if session.provider == CPU else "cuda:0": session})

    @classmethod
    def open(
        cls, path: str, providers: str, devices: str = "", gpu_memory_mb: int = 0, threads: int = 0
    ) -> "NetworkDevices":
        """Opens a network on all devices, one after the other.

        Args:
            path: The ONNX file.
            providers: `auto`, `cuda`, `tensorrt` or `cpu`.
            devices: As `--devices`.
            gpu_memory_mb: Most memory of the arena of each GPU in MiB; 0: no limit.
            threads: Threads on a CPU, of all workers together; 0: one per core.

        Raises:
            ValueError: as `NetworkSession`; ProviderError when a device is not there or does not
                start, which is named.
        """
        choice = DeviceChoice.parse(devices)
        arguments: dict[str, tuple[Any, ...]]
        if choice.cpu_workers:
            shares = choice.threads(threads or physical_cores())
            arguments = {f"cpu-{n}": ("cpu", 0, share) for n, share in enumerate(shares, 1)}
        elif choice.has_gpus:
            providers = "cuda" if providers == "auto" else providers
            numbers = _gpu_numbers(choice, providers)
            arguments = {f"cuda:{n}": (providers, gpu_memory_mb, threads, n) for n in numbers}
        else:
            return cls.of(NetworkSession(path, providers, gpu_memory_mb, threads))
        sessions = {}
        for name, values in arguments.items():
            with _naming(name):
                sessions[name] = NetworkSession(path, *values)
        if len({session.sha256 for session in sessions.values()}) > 1:
            raise ValueError(f"{path!r} was replaced while it was opened. Start again.")
        return cls(sessions)

    @property
    def first(self) -> NetworkSession:
        """One of the sessions, for what all have in common."""
        return next(iter(self.sessions.values()))

    def warm_up(self, slots: int) -> float:
        """Runs the network once on every device where that is slow at first.

        Args:
            slots: Images per call of the job.

        Returns:
            Seconds that it took; 0 on a CPU.

        Raises:
            ProviderError: when a device cannot run the network.
        """
        seconds = 0.0
        # One after the other: ONNX Runtime makes the memory of inputs on a GPU by no thread-safe
        # means, and an engine that TensorRT builds for the first GPU serves the others.
        for name, session in self.sessions.items():
            with _naming(name) if len(self.sessions) > 1 else contextlib.nullcontext():
                seconds += session.warm_up(slots)
        return seconds

    def lock_pages(self, images: np.ndarray) -> None:
        """Lets GPUs copy batches from this memory without a detour, as long as it lives."""
        self.first.lock_pages(images)  # Locked for one GPU it is locked for all.


@contextlib.contextmanager
def _naming(device: str) -> Iterator[None]:
    """Names the device in the ProviderError that the body raises."""
    try:
        yield
    except ProviderError as error:
        raise ProviderError(f"{device} does not start: {error}") from error


def _gpu_numbers(choice: DeviceChoice, providers: str) -> Sequence[int]:
    try:
        available = onnxruntime.get_available_providers()
        wanted = choose_providers(providers, available, gpu_is_visible())[0]
        names = gpu_names()
    except OSError as error:
        raise ProviderError(diagnose(wanted, examine_host(), str(error))) from error
    except ProviderError as error:
        what = f"--devices={choice.text}: {error} On the CPU: no --devices, or cpu:N."
        raise ProviderError(what) from error
    if missing := [str(number) for number in choice.gpus if number >= len(names)]:
        found = ", ".join(f"{number} ({name})" for number, name in enumerate(names))
        raise ProviderError(
            f"--devices={choice.text}: there is no GPU {', '.join(missing)}. CUDA shows"
            f" {len(names)}: {found or 'none'}; CUDA_VISIBLE_DEVICES may hide others."
        )
    numbers = choice.gpus or range(len(names))
    if not numbers:
        raise ProviderError(f"--devices={choice.text}: CUDA shows no GPU. Check nvidia-smi.")
    if len(kinds := {names[number] for number in numbers}) > 1:
        _LOGGER.warning(
            "The GPUs are of several kinds (%s): the last digits of a score may depend on which"
            " one computes it. --devices=0,1 and so on chooses those of one kind.",
            ", ".join(sorted(kinds)),
        )
    return numbers

"""The configuration of a server: a frozen dataclass, checked when made."""

import dataclasses

from export.config_fields import check_at_least, check_choices, check_finite, check_needed, setting
from export.files.read_limits import ReadLimits
from export.scoring.config import PROVIDERS, THIS_HOST
from export.scoring.runtime.device_choice import DeviceChoice
from export.scoring.runtime.host_limits import available_cores, available_memory

_MOST_DECODERS = 64


@dataclasses.dataclass(frozen=True)
class ServingConfig:
    """Answers over HTTP what an exported network says of images."""

    model: str = setting("", "The model.onnx of a bundle; it holds labels, sizes and thresholds.")
    host: str = setting(
        THIS_HOST, "Address on which the server answers; 0.0.0.0: every network of this host."
    )
    port: int = setting(8000, "Port on which it answers; 0: one that is free, which the log names.")
    providers: str = setting(
        "auto",
        "Where the network runs; auto takes a GPU when there is one. A GPU that was asked for"
        " and cannot be used, or leaves convolutions to the CPU, is an error.",
        PROVIDERS,
    )
    devices: str = setting(
        "",
        "Devices that compute side by side, a batch each: all (every GPU that CUDA shows), numbers"
        " of such GPUs (0,1), or cpu:N (N workers that divide the threads of the CPU; default: one"
        " device).",
    )
    gpu_memory_mb: int = setting(
        0, "Most memory, in MiB, that the network's tensors may take on each GPU (0: no limit)."
    )
    threads: int = setting(
        0, "Threads of the network on a CPU (0: one per core that affinity and container leave)."
    )
    threshold: float = setting(
        -1.0, "Decide every label above this probability; below 0: the model's own thresholds."
    )
    batch_size: int = setting(32, "Most images of one call of the network.")
    batch_delay_ms: float = setting(
        2.0, "How long, in milliseconds, an image waits for others to share a call with."
    )
    decoders: int = setting(
        0, "Threads that decode and resize images (0: one per core, at most 64)."
    )
    decoding_memory_mb: int = setting(
        0,
        "Most memory, in MiB, that images being decoded may take together (0: half of this host's"
        " or container's). They wait for it; one that needs more is refused.",
    )
    max_body_mb: int = setting(32, "Largest body of a request, in MiB; a larger one gets 413.")
    max_images: int = setting(64, "Most images of one request; more get 413.")
    max_pixels: int = setting(
        0, "Most pixels of an image, which is refused before it is decoded (0: as the model says)."
    )
    queue_images: int = setting(
        256, "Most images that wait or are computed; a request that would add more gets 429."
    )
    queue_mb: int = setting(
        512, "Most memory, in MiB, of all bodies that are received or wait; above it comes 429."
    )
    max_connections: int = setting(4096, "Most open connections; a request on a further one: 503.")
    request_seconds: float = setting(
        30.0,
        "Most time that a client may take for the head of a request, and again for its body; then"
        " the connection is closed (in the body with 408).",
    )
    drain_seconds: float = setting(
        1.0,
        "After SIGTERM: how long new connections are still accepted, while /readyz says no, so"
        " that balancers take the server out first.",
    )
    stop_seconds: float = setting(
        30.0, "After that: how long what was accepted may take before the server ends anyway."
    )
    url_hosts: str = setting(
        "",
        "Hosts, separated by commas, from which images may be fetched that a request names by URL;"
        " *: every host with a public address (default: none).",
    )

    def __post_init__(self):
        check_choices(self)
        check_needed(self, ("model",))
        check_finite(self)
        DeviceChoice.parse(self.devices).check(self.providers)
        check_at_least(1, self, ("batch_size", "max_body_mb", "max_images", "queue_mb"))
        check_at_least(1, self, ("max_connections",))
        not_negative = ("gpu_memory_mb", "threads", "decoders", "decoding_memory_mb", "max_pixels")
        check_at_least(0, self, (*not_negative, "batch_delay_ms", "drain_seconds", "stop_seconds"))
        if not 0 <= self.port < 65536:
            raise ValueError(f"port must lie in 0..65535, got {self.port}.")
        if self.threshold >= 1.0:
            raise ValueError(f"threshold must be below 1, got {self.threshold}.")
        if self.request_seconds <= 0.0:
            raise ValueError(f"request_seconds must be above 0, got {self.request_seconds}.")
        if self.queue_images < self.max_images:
            raise ValueError(
                f"queue_images must be at least max_images, or a whole request never fits: got"
                f" {self.queue_images} and {self.max_images}."
            )
        if self.queue_mb < self.max_body_mb:
            raise ValueError(
                "queue_mb must be at least max_body_mb, or a whole body never fits: got"
                f" {self.queue_mb} and {self.max_body_mb}."
            )

    @property
    def decoder_count(self) -> int:
        """Number of threads that decode."""
        return self.decoders or min(available_cores(), _MOST_DECODERS)

    @property
    def decoding_memory_bytes(self) -> int:
        """Bytes that images being decoded may take together."""
        return self.decoding_memory_mb * 2**20 or available_memory() // 2

    @property
    def body_bytes(self) -> int:
        """Bytes of the largest body."""
        return self.max_body_mb * 2**20

    @property
    def url_limits(self) -> ReadLimits:
        """What fetching one image may take: one attempt, since a client can repeat its request."""
        return ReadLimits(self.request_seconds, 0, self.body_bytes)

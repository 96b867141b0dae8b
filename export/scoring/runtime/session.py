"""An exported network, opened with ONNX Runtime."""

import os
import re
import time
from typing import Any

import numpy as np
import onnxruntime

from export.bundle.description import ModelDescription
from export.bundle.model_file import check_bundle_checksum, check_model_file, hash_file
from export.scoring.runtime.gpu_input_buffer import (
    GpuInputBuffer,
    load_cuda_runtime,
    lock_pages,
)
from export.scoring.runtime.graph_fit import EMBEDDINGS, STABILITY, check_graph_fits
from export.scoring.runtime.host_facts import (
    CPU,
    TENSORRT,
    examine_host,
    preload_libraries,
)
from export.scoring.runtime.host_limits import gpu_is_visible, physical_cores
from export.scoring.runtime.input_buffer import INPUT_NAME, InputBuffer
from export.scoring.runtime.node_placement import (
    RECORD_PLACEMENT,
    check_placement,
    count_convolutions,
    describe_placement,
    read_placement,
)
from export.scoring.runtime.providers import (
    ProviderError,
    check_provider,
    choose_providers,
    diagnose,
    engine_cache,
    provider_options,
)


class NetworkSession:
    """Runs a `model.onnx` that describes itself.

    Attributes:
        description: What the file says of itself.
        provider: Name of the execution provider in use.
        placement: Where its convolutions run, as text.
        sha256: Hash of the file.

    Args:
        path: The ONNX file.
        providers: `auto`, `cuda`, `tensorrt` or `cpu`.
        gpu_memory_mb: Most memory of the GPU's arena in MiB; 0: no limit.
        threads: Threads of one call of the network; 0: one per core that this process may use.
        gpu: Number of the GPU, as CUDA counts those that it shows.

    Raises:
        ValueError: when the file is missing, no ONNX, of a newer operator set than this ONNX
            Runtime knows, without a description or with one of another graph, or not the file that
            the bundle.json beside it lists; ProviderError when the GPU asked for cannot be used or
            does not compute the convolutions.
    """

    def __init__(
        self,
        path: str,
        providers: str = "cpu",
        gpu_memory_mb: int = 0,
        threads: int = 0,
        gpu: int = 0,
    ):
        check_model_file(path)
        self.sha256 = hash_file(path)
        check_bundle_checksum(path, self.sha256)
        self._session, self.placement = _open_session(
            path, self.sha256, providers, threads, (gpu_memory_mb, gpu)
        )
        self._gpu = gpu
        self.description = ModelDescription.from_properties(
            self._session.get_modelmeta().custom_metadata_map, path
        )
        check_graph_fits(
            self.description, self._session.get_inputs(), self._session.get_outputs(), path
        )
        self.provider = self._session.get_providers()[0]

    def run(self, images: np.ndarray, outputs: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
        """Outputs by name.

        Args:
            images: `[B, height, width, 3]` RGB in 0..255 of the dtype that the file takes.
            outputs: Names of the outputs to return; none: all that the file has.

        Returns:
            dict of float32 arrays: `logits` and `probabilities` `[B, L]`, `heatmaps`
            `[B, h, w, L]`; of a dual-stream network also `trunk_heatmaps`, `branch_heatmaps`; of
            an export with them `embeddings` `[B, C]`, with views `stability` `[B, L]`.
        """
        outputs = outputs or tuple(self.output_shapes)
        values = self._session.run(list(outputs), {INPUT_NAME: images})
        return dict(zip(outputs, values, strict=True))

    def input_buffers(self, slots: int, count: int) -> list[InputBuffer]:
        """Buffers of `slots` images each, so that one can be copied while another is computed."""
        if self.provider == CPU:
            return [InputBuffer(self._session) for _ in range(count)]
        images, runtime = self.black_images(slots), load_cuda_runtime()
        arguments = (self._session, images.shape, images.dtype.name, self._gpu, runtime)
        return [GpuInputBuffer(*arguments) for _ in range(count)]

    def black_images(self, slots: int) -> np.ndarray:
        """A batch for the network, `[slots, height, width, 3]` of the dtype that it takes."""
        size = self.description.preprocessing
        return np.zeros((slots, size.height, size.width, 3), size.input_dtype)

    def lock_pages(self, images: np.ndarray) -> None:
        """Lets a GPU copy batches from this memory without a detour, as long as it lives."""
        if self.provider != CPU:
            lock_pages(images, load_cuda_runtime())

    def warm_up(self, slots: int) -> float:
        """Runs the network once where that is slow at first: on a GPU.

        Its libraries then load kernels and choose algorithms for the shape, TensorRT builds its
        engine.

        Args:
            slots: Images per call of the job.

        Returns:
            Seconds that it took; 0 on a CPU.

        Raises:
            ProviderError: when the GPU opened the network and cannot run it: cuDNN, which is
                loaded only now, is missing, or the GPU's memory is too small for the batch.
        """
        if self.provider == CPU:
            return 0.0
        start = time.monotonic()
        try:
            (buffer,) = self.input_buffers(slots, 1)
            buffer.upload(self.black_images(slots))
            buffer.run(tuple(self.output_shapes))
        except Exception as error:  # ONNX Runtime's exceptions share no narrower base.
            raise ProviderError(diagnose(self.provider, examine_host(), str(error))) from error
        return time.monotonic() - start

    @property
    def embedding_size(self) -> int:
        """Numbers of an embedding.

        Raises:
            ValueError: when the file has none.
        """
        if EMBEDDINGS not in self.output_shapes:
            raise ValueError(
                "The model has no output of embeddings. Export the run again with export_model.py"
                " --embeddings."
            )
        return self.output_shapes[EMBEDDINGS][1]

    @property
    def has_stability(self) -> bool:
        """Whether the file averages views, and says how far they agree."""
        return STABILITY in self.output_shapes

    @property
    def input_shapes(self) -> dict[str, list[Any]]:
        """Declared shapes of the inputs by name; a dynamic axis is its name."""
        return {value.name: value.shape for value in self._session.get_inputs()}

    @property
    def output_shapes(self) -> dict[str, list[Any]]:
        """Declared shapes of the outputs by name; a dynamic axis is its name."""
        return {value.name: value.shape for value in self._session.get_outputs()}


def _open_session(
    path: str, sha256: str, choice: str, threads: int, gpu_options: tuple[int, int]
) -> tuple[onnxruntime.InferenceSession, str]:
    """A session on the provider asked for, and where its nodes run."""
    available = onnxruntime.get_available_providers()
    providers = choose_providers(choice, available, gpu_is_visible())
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Left to itself, ONNX Runtime counts the cores of the host and binds its threads to them.
    options.intra_op_num_threads = threads or physical_cores()
    # Threads that wait in a loop for the next operator take the cores from the decoders.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if providers[0] == TENSORRT:
        os.makedirs(engine_cache(sha256), exist_ok=True)
        # It has no option for this; NVIDIA's libraries read it when they are loaded.
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    if providers[0] != CPU:
        options.add_session_config_entry(RECORD_PLACEMENT, "1")
        preload_libraries(onnxruntime)
    with_options = [(name, provider_options(name, sha256, *gpu_options)) for name in providers]
    try:
        # Its own fall-back would replace a GPU by the CPU in silence.
        session = onnxruntime.InferenceSession(path, options, with_options, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions share no narrower base.
        if providers[0] != CPU and re.search("cuda|cudnn|cublas|tensorrt", str(error), re.I):
            raise ProviderError(diagnose(providers[0], examine_host(), str(error))) from error
        raise ValueError(f"ONNX Runtime cannot open {path!r}: {error}") from error
    check_provider(providers, session.get_providers())
    if providers[0] == CPU:
        return session, CPU
    counts = count_convolutions(read_placement(session))
    check_placement(providers, counts)
    return session, describe_placement(counts)

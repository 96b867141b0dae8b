"""An exported network, opened with ONNX Runtime."""

import os

import numpy as np
import onnxruntime

from export.bundle import ModelDescription
from export.input_buffer import INPUT_NAME, InputBuffer
from export.model_file import check_bundle_checksum, hash_file
from export.providers import check_provider, choose_providers, gpu_is_visible


class NetworkSession:
    """Runs a `model.onnx` that describes itself.

    Attributes:
        description: What the file says of itself.
        provider: Name of the execution provider in use.
        sha256: Hash of the file.

    Args:
        path: The ONNX file.
        providers: `auto`, `cuda`, `tensorrt` or `cpu`.

    Raises:
        ValueError: when the file is missing, no ONNX, of a newer operator set than this ONNX
            Runtime knows, without a description, or not the file that the bundle.json beside it
            lists; ProviderError when the GPU asked for cannot be used.
    """

    def __init__(self, path: str, providers: str = "cpu"):
        if not os.path.isfile(path):
            raise ValueError(f"No model at {path!r}. Expected the model.onnx of a bundle.")
        self.sha256 = hash_file(path)
        check_bundle_checksum(path, self.sha256)
        self._session = _open_session(path, providers)
        self.description = ModelDescription.from_properties(
            self._session.get_modelmeta().custom_metadata_map, path
        )
        self.provider = self._session.get_providers()[0]

    def run(self, images: np.ndarray, outputs: tuple[str, ...] = ()) -> dict:
        """Outputs by name.

        Args:
            images: `[B, height, width, 3]` RGB in 0..255 of the dtype that the file takes.
            outputs: Names of the outputs to return; none: all that the file has.

        Returns:
            dict of float32 arrays: `logits` and `probabilities` `[B, L]`, `heatmaps`
            `[B, h, w, L]`; of a dual-stream network also `trunk_heatmaps`, `branch_heatmaps`.
        """
        outputs = outputs or tuple(self.output_shapes)
        values = self._session.run(list(outputs), {INPUT_NAME: images})
        return dict(zip(outputs, values, strict=True))

    def input_buffers(self, slots: int, count: int) -> list[InputBuffer]:
        """Buffers of `slots` images each, so that one can be filled while another is computed."""
        size = self.description.preprocessing
        shape = (slots, size.height, size.width, 3)
        return [InputBuffer(self._session, shape, size.input_dtype) for _ in range(count)]

    @property
    def input_shapes(self) -> dict[str, list]:
        """Declared shapes of the inputs by name; a dynamic axis is its name."""
        return {value.name: value.shape for value in self._session.get_inputs()}

    @property
    def output_shapes(self) -> dict[str, list]:
        """Declared shapes of the outputs by name; a dynamic axis is its name."""
        return {value.name: value.shape for value in self._session.get_outputs()}


def _open_session(path: str, choice: str) -> onnxruntime.InferenceSession:
    available = onnxruntime.get_available_providers()
    gpu_visible = gpu_is_visible()
    providers = choose_providers(choice, available, gpu_visible)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        # Its own fall-back would replace a GPU by the CPU in silence.
        session = onnxruntime.InferenceSession(path, options, providers, enable_fallback=0)
    except Exception as error:  # ONNX Runtime's exceptions share no narrower base.
        raise ValueError(f"ONNX Runtime cannot open {path!r}: {error}") from error
    check_provider(providers, session.get_providers(), available, gpu_visible)
    return session

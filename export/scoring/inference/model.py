"""An exported network that is called with images; needs no TensorFlow."""

import contextlib
import itertools
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from export.bundle.description import ONNX_FILE
from export.images.image_header import ImageError
from export.images.preprocessing import fit, to_input_dtype
from export.scoring.inference.image_input import ImageInput, are_several
from export.scoring.inference.result import ByLabel, Result
from export.scoring.runtime.graph_fit import STABILITY
from export.scoring.runtime.host_limits import available_cores
from export.scoring.runtime.session import NetworkSession

# An image, and its view `[height, width, 3]` or the error that it has.
_Loaded = tuple[ImageInput, "np.ndarray | ImageError"]
_OUTPUTS = ("logits", "probabilities", "heatmaps")


def load(path: str | os.PathLike[str], providers: str = "auto") -> "Model":
    """An exported network, ready to be called with images.

    Args:
        path: `model.onnx` of a bundle (or the file of another precision), or the bundle's folder.
        providers: `auto` (a GPU where there is one), `cuda`, `tensorrt` or `cpu`.

    Returns:
        The network, to be called with images.

    Raises:
        ValueError: no such file, no bundle of this project, a damaged one, or a provider that this
            host does not have.
    """
    path = os.fspath(path)
    if os.path.exists(os.path.join(path, "network.keras")):
        raise ValueError(
            f"{path!r} is the folder of a run. Expected a bundle; export the run with"
            " export_model.py, or open it with vac_tf.load."
        )
    file = os.path.join(path, ONNX_FILE) if os.path.isdir(path) else path
    return Model(NetworkSession(file, providers), file)


class Model:
    """An exported network that is called with images as they are, and gives a `Result` for each.

    Images are decoded, turned and resized as in score.py, and labels are decided as there.

    Attributes:
        session: The network.
        label_names: L names.
        thresholds: Label -> the probability above which it is decided.
        label_groups: Labels that exclude each other; the most probable one of each is decided.
        preprocessing: How images become inputs.
        name: Where it comes from.
    """

    def __init__(self, session: NetworkSession, name: str = ""):
        described = session.description
        self.session = session
        self.label_names = described.label_names
        self.preprocessing = described.preprocessing
        self.name = name
        self.label_groups = described.label_groups
        self._thresholds = np.array(described.thresholds, np.float32)
        self.thresholds = ByLabel(zip(self.label_names, self._thresholds.tolist(), strict=True))

    def __call__(
        self, images: Any, batch_size: int = 32
    ) -> "Result | list[Result] | Iterator[Result]":
        """What the network says of an image, or of several.

        Args:
            images: A path, a URL (http, https), the bytes of an image file, a Pillow image, or an
                array `[H, W, 3]` of RGB in 0..255, whole numbers or floats; or a list of these (a
                column of a table too), or an array `[N, H, W, 3]`; or an iterator over these,
                which is read as its results are asked for, so that any number of images can pass.
            batch_size: Images that go through the network at once.

        Returns:
            A `Result`; for a list a list in its order, for an iterator an iterator. Results keep
            what was given (a path, the array itself), not a copy, for their pictures.

        Raises:
            ValueError: a batch size below 1.
            ImageError: a single image that cannot be used; the message names it. In a list it
                gets a result with its `error`, and the others their own.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        if isinstance(images, Iterator):
            return self._results(images, batch_size)
        if are_several(images):
            return list(self._results(images, batch_size))
        image, view = self._load(ImageInput.of(images, self.preprocessing))
        if isinstance(view, ImageError):
            raise view
        (result,) = self._batch([(image, view)])
        if result.error is not None:
            raise ImageError("not_finite", result.error)
        return result

    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs for inputs that have the network's size already.

        Args:
            images: `[B, height, width, 3]` RGB in 0..255.

        Returns:
            float32 arrays: `logits` and `probabilities` `[B, L]`, `heatmaps` `[B, h, w, L]`; of a
            model that averages views `stability` `[B, L]`.
        """
        images = to_input_dtype(np.asarray(images), self.preprocessing.input_dtype)
        outputs = (*_OUTPUTS, STABILITY) if self.session.has_stability else _OUTPUTS
        return self.session.run(np.ascontiguousarray(images), outputs)

    def _results(self, images: Iterable[Any], batch_size: int) -> Iterator[Result]:
        with contextlib.closing(self._loaded(images, batch_size)) as batches:
            for batch in batches:
                yield from self._batch(batch)

    def _loaded(
        self, images: Iterable[Any], batch_size: int
    ) -> Generator[list[_Loaded], None, None]:
        """Batches of `_load`, one of them ahead of the network."""
        inputs = (ImageInput.of(image, self.preprocessing, i) for i, image in enumerate(images))
        with ThreadPoolExecutor(available_cores()) as pool:
            ahead = None
            while batch := list(itertools.islice(inputs, batch_size)):
                futures = [pool.submit(self._load, image) for image in batch]
                if ahead:
                    yield [future.result() for future in ahead]
                ahead = futures
            if ahead:
                yield [future.result() for future in ahead]

    def _batch(self, loaded: Sequence[_Loaded]) -> list[Result]:
        views = [view for _, view in loaded if isinstance(view, np.ndarray)]
        outputs = self.predict(np.stack(views)) if views else {}
        rows = itertools.count()
        results = []
        for image, view in loaded:
            if isinstance(view, ImageError):
                results.append(self._result(image, error=str(view)))
                continue
            row = next(rows)
            # Copied: a view would keep the whole batch.
            own = {name: np.array(values[row]) for name, values in outputs.items()}
            if np.isfinite(own["probabilities"]).all():
                results.append(self._result(image, own))
            else:
                error = str(image.error("the network's probabilities for it are not finite"))
                results.append(self._result(image, error=error))
        return results

    def _result(
        self,
        image: ImageInput,
        outputs: dict[str, np.ndarray] | None = None,
        error: str | None = None,
    ) -> Result:
        groups = self.label_groups
        return Result(image, self.label_names, self._thresholds, outputs, error, groups)

    def _load(self, image: ImageInput) -> _Loaded:
        """The image, fetched, and its view `[height, width, 3]` or the ImageError that it has."""
        try:
            image = image.fetched()
            return image, fit(image.pixels(), self.preprocessing)
        except ImageError as error:
            return image, error

    def __repr__(self) -> str:
        return (
            f"<Model {self.name!r}: {len(self.label_names)} labels, images of"
            f" {self.preprocessing.width} pixels, {self.session.provider}>"
        )

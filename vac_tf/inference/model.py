"""A trained network that is called with images."""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vac_tf.configs.label_groups.group import LabelGroup
from vac_tf.decisions.calibration import Calibration
from vac_tf.decisions.decision_rule import DecisionRule, read_decision_rule
from vac_tf.geometry.resizing import resize_images
from vac_tf.inference.image_input import ImageError, ImageInput, are_several
from vac_tf.inference.result import ByLabel, Result
from vac_tf.inputs.decoding import decode_image, orient
from vac_tf.inputs.image_source import ImageSettings
from vac_tf.inputs.prediction import inference
from vac_tf.inputs.settings import image_settings
from vac_tf.inputs.threads import in_parallel
from vac_tf.models.named_outputs import with_named_outputs
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder

_DEFAULT_THRESHOLD = 0.5


def load(run_dir: str | os.PathLike) -> "Model":
    """The best network of a run, with its labels, thresholds and calibration.

    Args:
        run_dir: The folder that train.py (or `vac_tf.train`) wrote, of any kind of network that
            has logits and heatmaps.

    Returns:
        The network, to be called with images.

    Raises:
        ValueError: no run there, a damaged one, or thresholds that are of another network.
    """
    path = os.fspath(run_dir)
    if path.endswith(".onnx") or os.path.exists(os.path.join(path, "bundle.json")):
        raise ValueError(
            f"{path!r} is an exported network. Expected the folder of a run; open the export with"
            " export.scoring.load (installed with pip: vac_export.scoring.load)."
        )
    folder = RunFolder(path)
    label_names, config = folder.read_label_names(), folder.read_config()
    return Model(
        load_network(folder.network_file),
        label_names,
        image_settings(config),
        read_decision_rule(folder, label_names),
        unknown_labels=config.unknown_labels,
        label_groups=folder.read_label_groups(),
        name=path,
    )


class Model:
    """A network that is called with images as they are, and gives a `Result` for each.

    Images are decoded, turned and resized as in evaluate.py, and labels are decided as there.

    Attributes:
        network: The Keras network: float32 RGB in 0..255 `[B, S, S, 3]` -> a dict of `logits`
            `[B, L]` and `heatmaps` `[B, h, w, L]`.
        label_names: L names.
        thresholds: Label -> the probability above which it is decided.
        settings: How images become inputs.
        rule: Thresholds and calibration, where there are any.
        unknown_labels: How metrics take an unknown label: `ignore`, `negative` or `release`.
        label_groups: Labels that exclude each other; the most probable one of each is decided.
        name: Where it comes from.

    Args:
        network: As above, or with its outputs as a pair of tensors, see `with_named_outputs`.
        label_names: As above.
        settings: As above, or the images' size in pixels; None: the size that the network takes.
        rule: None: labels are decided above 0.5 by the network's own probabilities.
        unknown_labels: As above.
        name: As above.
        label_groups: As above, of `vac_tf.configs.label_groups`; those of a rule go before.

    Raises:
        ValueError: another network, another number of labels, or a size is needed.
    """

    def __init__(
        self,
        network: keras.Model,
        label_names: Sequence[str],
        settings: ImageSettings | int | None = None,
        rule: DecisionRule | None = None,
        *,
        unknown_labels: str = "ignore",
        name: str = "",
        label_groups: Sequence[LabelGroup] = (),
    ):
        self.network = with_named_outputs(network)
        self.label_names = tuple(label_names)
        self.settings = _settings(self.network, settings)
        self.rule = rule
        self.unknown_labels = unknown_labels
        self.name = name
        num_labels = len(self.label_names)
        outputs = self.network.output["logits"].shape[-1]
        if num_labels != outputs or len(set(self.label_names)) != num_labels:
            raise ValueError(
                f"Expected {outputs} different label names, as many as the network has logits; got"
                f" {num_labels}: {', '.join(self.label_names[:5])} ..."
            )
        own = Calibration.identity(num_labels, tuple(label_groups))
        self._calibration = rule.calibration if rule else own
        self.label_groups = self._calibration.label_groups
        self._thresholds = np.full(num_labels, _DEFAULT_THRESHOLD, np.float32)
        if rule:
            self._thresholds = rule.thresholds
        self.thresholds = ByLabel(zip(self.label_names, self._thresholds.tolist(), strict=True))
        self._view_of_file, self._view_of_array = _views(self.settings)

    def __call__(self, images: Any, batch_size: int = 32) -> "Result | list[Result] | Iterator":
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
        (result,) = self._batch([ImageInput.of(images, self.settings)], map)
        if result.error is not None:
            raise ImageError(result.error)
        return result

    def predict(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs for inputs that have the network's size already.

        Args:
            images: `[B, S, S, 3]` RGB in 0..255.

        Returns:
            float32 arrays: `logits` and `probabilities` `[B, L]`, `heatmaps` `[B, h, w, L]`.
        """
        outputs = inference(self.network)(tf.cast(images, tf.float32))
        values = {name: tf.cast(value, tf.float32).numpy() for name, value in outputs.items()}
        return values | {"probabilities": self._calibration.probabilities(values["logits"])}

    def _results(self, images: Iterable, batch_size: int) -> Iterator[Result]:
        inputs = (ImageInput.of(image, self.settings, i) for i, image in enumerate(images))
        while batch := list(itertools.islice(inputs, batch_size)):
            yield from self._batch(batch, in_parallel)

    def _batch(self, images, in_order) -> list[Result]:
        """The results of at most a batch; `in_order` maps a function over images."""
        loaded = list(in_order(self._load, images))
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

    def _result(self, image, outputs=None, error=None):
        groups = self.label_groups
        return Result(image, self.label_names, self._thresholds, outputs, error, groups)

    def _load(self, image: ImageInput):
        """The image, fetched, and its view float32 `[S, S, 3]` or the ImageError that it has."""
        try:
            image = image.fetched()
            if not image.is_encoded:
                return image, self._view_of_array(image.pixels().astype(np.float32)).numpy()
            contents, orientation = image.encoded()
            try:
                return image, self._view_of_file(contents, orientation).numpy()
            except tf.errors.OpError:
                image.pixels()  # Says the bare reason.
                raise
        except ImageError as error:
            return image, error

    def __repr__(self) -> str:
        return (
            f"<Model {self.name!r}: {len(self.label_names)} labels, images of"
            f" {self.settings.image_size} pixels>"
        )


def _settings(network, given) -> ImageSettings:
    if isinstance(given, ImageSettings):
        return given
    height, width = network.inputs[0].shape[1:3]
    size = height if given is None else given
    if size is None or any(side not in (None, size) for side in (height, width)):
        raise ValueError(
            f"The network takes images of {height} x {width} pixels, and the size given is {given}."
            " Expected square images; give their size where the network takes any."
        )
    return ImageSettings(int(size))


def _views(settings: ImageSettings):
    """Graphs that give the network's input: from an encoded image, and from pixels."""
    size, kernel = settings.image_size, settings.resize_kernel

    @tf.function(input_signature=[tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.int32)])
    def view_of_file(contents, orientation):
        image = decode_image(contents, "", settings.max_pixels)
        if settings.apply_exif_orientation:
            image = orient(image, orientation)
        return resize_images(image, size, kernel)

    @tf.function(input_signature=[tf.TensorSpec((None, None, 3), tf.float32)])
    def view_of_array(pixels):
        return resize_images(pixels, size, kernel)

    return view_of_file, view_of_array

"""What the scorer opens: models, lists, tar files, its own state; and images, on both sides."""

import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import onnx
import tensorflow as tf

from export.bundle.folder import write_bundle_file
from export.images.image_header import ImageError
from export.images.preprocessing import decode
from export.scoring.engine.finished_output import Manifest, read_manifest
from export.scoring.engine.job_record import Job
from export.scoring.output.rows import Columns
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.open_source import open_source
from tests.export.encoded_images import good_images
from tests.export.onnx_models import description, write_channel_mean_model
from tests.fuzz.target import Target
from vac_tf.inputs.decoding import decode_image

_MOST_PIXELS = 10**6
_GOOD = good_images()


def _rows_of(name: str) -> Any:
    def read(folder: Path) -> None:
        found = list(open_source(str(folder / name)).read())
        root = str(folder)
        for row in found:
            assert row.problem or row.path.startswith(("http://", "https://")) or row.path
            # A list may name any file of the host that scores; a tar file only itself.
            assert row.member is None or row.path == f"{root}/{name}"

    return read


def _csv(folder: Path) -> None:
    rows = ["image,x,y,w,h", "a.jpg,1,2,3,4", '"b, c.jpg",0,0,5,5', "d.jpg,,,,"]
    (folder / "list.csv").write_text("\n".join(rows) + "\n")


def _text(folder: Path) -> None:
    (folder / "list.txt").write_text("a.jpg\nb/c.jpg\n/d.jpg\n")


def _parquet(folder: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = {"image": ["a.jpg", "b.jpg"], "x": [1.0, None], "y": [2.0, None], "w": [3.0, None]}
    columns["h"] = [4.0, None]
    parquet.write_table(pyarrow.table(columns), folder / "list.parquet")


def _tar(folder: Path) -> None:
    with tarfile.open(folder / "images.tar", "w") as archive:
        for name, data in list(_GOOD.items())[:4]:
            member = tarfile.TarInfo(f"{name}.jpg")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def _bundle(folder: Path) -> None:
    write_channel_mean_model(folder / "model.onnx")
    write_bundle_file(str(folder), description(), parity={}, precisions={})


def _open_bundle(folder: Path) -> None:
    session = NetworkSession(str(folder / "model.onnx"))
    session.run(session.black_images(2))


def _described(folder: Path) -> None:
    """The description of a model as JSON, of which a case spoils values."""
    values = {name: json.dumps(value) for name, value in description().to_json().items()}
    (folder / "description.json").write_text(json.dumps(values))


def _open_described(folder: Path) -> None:
    try:
        content = json.loads((folder / "description.json").read_text())
        values = {str(name): str(value) for name, value in content.items()}
    except (ValueError, AttributeError, RecursionError):
        return  # Not what a model file can hold.
    with tempfile.TemporaryDirectory() as apart:
        _open_with(values, write_channel_mean_model(Path(apart, "model.onnx")))


def _open_with(values: dict[str, str], path: str) -> None:
    """Opens a model that says these values of itself."""
    model = onnx.load(path)
    del model.metadata_props[:]
    for name, value in values.items():
        try:
            model.metadata_props.add(key=name, value=value)
        except (ValueError, UnicodeEncodeError):
            return  # Protobuf refuses lone surrogates.
    onnx.save(model, path)
    session = NetworkSession(path)
    session.run(session.black_images(1))


def _manifest(folder: Path) -> None:
    settings = {"format": ".csv", "thresholds": [0.5], "provider": "cpu", "batch_size": 4}
    job = Job(settings, Columns(("red",)), 3)
    Manifest(job, {"ok": 3}, "0" * 64).write(str(folder / "scores.csv"))


def _read_manifest(folder: Path) -> None:
    found = read_manifest(str(folder / "scores.csv"))
    if found is not None:
        found.row_counts()
        found.job.differences(found.job)


def _images(folder: Path) -> None:
    for name, data in _GOOD.items():
        (folder / name).write_bytes(data)


class OneSidedError(ValueError):
    """A damaged image that one side reads and the other refuses: their libraries differ."""


def _decode_both(folder: Path) -> None:
    """What both sides read is of one size."""
    for path in folder.iterdir():
        data = path.read_bytes()
        if data == _GOOD[path.name]:
            continue
        try:
            scored = decode(data, _MOST_PIXELS).shape
        except ImageError as error:
            assert str(error)
            scored = None
        try:
            trained = tuple(decode_image(tf.constant(data), path.name, _MOST_PIXELS).shape)
        except tf.errors.OpError:
            trained = None
        if (scored is None) != (trained is None):
            raise OneSidedError(f"scoring: {scored}, training: {trained}")
        assert scored == trained, f"scoring: {scored}, training: {trained}"


SCORING_TARGETS = (
    Target("csv_list", _csv, ("list.csv",), _rows_of("list.csv")),
    Target("text_list", _text, ("list.txt",), _rows_of("list.txt")),
    Target("parquet_list", _parquet, ("list.parquet",), _rows_of("list.parquet")),
    Target("tar", _tar, ("images.tar",), _rows_of("images.tar")),
    Target("bundle", _bundle, ("model.onnx", "bundle.json"), _open_bundle),
    Target("description", _described, ("description.json",), _open_described),
    Target("manifest", _manifest, ("scores.csv.manifest.json",), _read_manifest),
    Target("images", _images, tuple(_GOOD), _decode_both, (OneSidedError,)),
)

"""What programs are given beside data: flags, the folder of a run, requests to a server."""

import base64
import contextlib
import dataclasses
import json
import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flags.dataclass_flags import parse_arguments
from flags.program import UsageError
from tests.export.encoded_images import good_images
from tests.export.onnx_models import write_channel_mean_model
from tests.fuzz.target import Target
from vac_tf.configs.classification import TrainConfig
from vac_tf.runs.folder import RunFolder

_FLAGS = """\
--run_dir=runs/a
--dataset=scenes
--transforms=hflip,scale:48
--consistency_weight=0.5
--learning_rate=1e-3
--epochs=3
--image_size=64
--batch_size=8
--augment=hflip
--augment_layers=colour:0.4
"""
_REQUEST_SECONDS = 0.3  # Of a request that never ends.
_REFUSED = {400, 404, 405, 408, 411, 413, 415, 422, 429, 501, 503}


def _flags(folder: Path) -> None:
    (folder / "run.flags").write_text(_FLAGS)


def _parse_flags(folder: Path) -> None:
    text = (folder / "run.flags").read_bytes().decode("utf-8", "surrogateescape")
    parse_arguments(TrainConfig, text.splitlines())


def _run_folder(folder: Path) -> None:
    run = RunFolder(str(folder))
    config = TrainConfig(run_dir="runs/a", dataset="scenes", transforms="hflip")
    run.write_json("config.json", dataclasses.asdict(config))
    groups = [{"name": "colour", "labels": ["red", "blue"], "at_most_one": True}]
    names = ["red", "blue", "a car"]
    run.write_json("labels.json", {"label_names": names, "label_groups": groups})
    run.write_json("selection.json", {"selected_on": "val split", "epoch": 2})


def _read_run_folder(folder: Path) -> None:
    run = RunFolder(str(folder))
    config = run.read_config()
    run.read_label_groups(run.read_label_names())
    run.read_json("selection.json")
    run.check(config)


class _Server:
    """A small server that runs while a target is fuzzed.

    Attributes:
        address: Host and port.
        good: Requests that it must answer with scores, by the names of their files.
    """

    address: tuple[str, int]
    good: dict[str, bytes]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        from tests.export.serving.small_server import running

        with tempfile.TemporaryDirectory() as folder:
            model = write_channel_mean_model(Path(folder, "model.onnx"))
            with running(model, max_body_mb=1, request_seconds=_REQUEST_SECONDS) as client:
                host, _, port = client.host.rpartition(":")
                self.address = host, int(port)
                yield

    def answer(self, request: bytes) -> bytes:
        """What comes back: until it is whole (a spoilt request may not ask to close), or closed."""
        answer = b""
        with socket.create_connection(self.address, timeout=15.0) as connection:
            # It may be refused before all of it is sent.
            with contextlib.suppress(ConnectionError):
                connection.sendall(request)
                while not _is_whole(answer) and (received := connection.recv(65536)):
                    answer += received
        return answer


def _is_whole(answer: bytes) -> bool:
    head, gap, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
    return bool(gap and length) and len(body) >= int(length[1])


_SERVER = _Server()


def _requests(folder: Path) -> None:
    image = good_images()["png"]
    encoded = base64.b64encode(image).decode()
    form = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n'
    form += b"Content-Type: image/png\r\n\r\n" + image + b"\r\n--b--\r\n"
    bodies = {
        "json": (
            "application/json",
            json.dumps({"images": [{"b64": encoded, "box": [0, 0, 5, 5]}]}).encode(),
        ),
        "form": ("multipart/form-data; boundary=b", form),
        "image": ("image/png", image),
    }
    _SERVER.good = {}
    for name, (kind, body) in bodies.items():
        head = f"POST /score?heatmaps=peaks&top_k=2 HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n"
        head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        _SERVER.good[f"{name}.http"] = head.encode() + body
        (folder / f"{name}.http").write_bytes(_SERVER.good[f"{name}.http"])


class RefusedError(ValueError):
    """An answer that says what is wrong with the request."""


def _send_requests(folder: Path) -> None:
    """A spoilt request gets scores or a refusal, good ones around it their scores."""
    refusal = b""
    for path in sorted(folder.iterdir()):
        request = path.read_bytes()
        answer = _SERVER.answer(request)
        if not answer and request != _SERVER.good[path.name]:
            continue  # Closed, as when the request never ended.
        # On a loaded machine a good one may come too late for the server.
        answer = answer or _SERVER.answer(request)
        version, code, *_ = answer.split(b" ", 2)
        assert version == b"HTTP/1.1" and code.isdigit(), answer[:200]
        if request == _SERVER.good[path.name]:
            assert int(code) == 200, answer[:500]
        elif int(code) != 200:
            assert int(code) in _REFUSED, answer[:500]
            refusal = answer[-300:]
    if refusal:
        raise RefusedError(refusal.decode("utf-8", "replace"))


PROGRAM_TARGETS = (
    Target("flags", _flags, ("run.flags",), _parse_flags, (UsageError,)),
    Target(
        "run_folder",
        _run_folder,
        ("config.json", "labels.json", "selection.json"),
        _read_run_folder,
    ),
    Target(
        "http",
        _requests,
        ("json.http", "form.http", "image.http"),
        _send_requests,
        (RefusedError,),
        _SERVER.running,
    ),
)

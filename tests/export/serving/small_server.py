"""A server in a thread of this process, and requests to it over real connections."""

import contextlib
import http.client
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from export.serving.config import ServingConfig

# In every environment for development (requirements-dev.txt); a user's may have none of it.
for _module in ("fastapi", "uvicorn", "python_multipart", "prometheus_client"):
    pytest.importorskip(_module, reason="pip install -r requirements-serve.txt")


@contextlib.contextmanager
def running(model: str, **settings: Any) -> Iterator["Client"]:
    """A client of a server that ends with the body."""
    from export.serving.server import open_server

    settings = {"port": 0, "drain_seconds": 0.0, "decoders": 2, "threads": 1} | settings
    with open_server(ServingConfig(model=model, **settings)) as server:
        thread = threading.Thread(target=server.serve_until_stopped)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        try:
            yield Client(server.address, server)
        finally:
            server.should_exit = True
            thread.join()


class Client:
    """Requests to one server, each by a connection of its own.

    Attributes:
        host: Host and port.
        server: In this process, or None.
    """

    def __init__(self, address: str, server: Any = None):
        self.host = urllib.parse.urlsplit(address).netloc
        self.server = server

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, timeout=60)

    def ask(self, method, path, body=None, headers=None):
        """Code, headers and body of an answer; JSON is read."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body, headers or {})
            return read_answer(connection)

    def get(self, path):
        return self.ask("GET", path)

    def post(self, body, kind="image/png", query=""):
        return self.ask("POST", f"/score{query}", body, {"Content-Type": kind})

    def post_json(self, images, query=""):
        body = json.dumps({"images": images})
        return self.post(body, "application/json", query)


def read_answer(connection):
    response = connection.getresponse()
    body = response.read()
    if response.headers.get_content_type() == "application/json":
        body = json.loads(body)
    return response.status, response.headers, body


def multipart(files, boundary="3f1c"):
    """Body and type of a form of files, `(name, contents)` each."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="images"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n".encode()
        + contents
        + b"\r\n"
        for name, contents in files
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"

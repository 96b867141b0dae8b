"""Metrics over HTTP, for a Prometheus that scrapes the job itself."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@contextlib.contextmanager
def serve_metrics(host: str, port: int, text: Callable[[], str]) -> Iterator[int]:
    """Answers GET /metrics while the body runs.

    Args:
        host: The address on which it answers; 0.0.0.0: on all of this host.
        port: The port; 0: any that is free.
        text: Makes the metrics of this moment; called by other threads.

    Yields:
        The port.

    Raises:
        ValueError: when the port cannot be opened.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.split("?")[0] != "/metrics":
                self.send_error(404, "Only /metrics is here")
                return
            body = text().encode()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments) -> None:
            """Says nothing: every scrape would be a line on the terminal."""

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise ValueError(
            f"--metrics_port={port} cannot be opened on --metrics_host={host}: {error.strerror}."
            " Choose another one; every process of a job needs its own."
        ) from error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()

"""Images by URL: what a slow, broken or hostile server, and a special file, can do to a job."""

import collections
import http.server
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image
from pyarrow import parquet

from export.scoring.config import ScoringConfig
from export.scoring.job import score
from tests.export.onnx_models import write_channel_mean_model

ROOT = Path(__file__).resolve().parents[4]


def png():
    stream = io.BytesIO()
    Image.new("RGB", (9, 7), (250, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the name of the file; counts requests."""

    def do_GET(self):
        name = self.path.strip("/").removesuffix(".png")
        self.server.asked[name] += 1
        getattr(self, f"_{name}")()

    def _answer(self, data, code=200, **headers):
        self.send_response(code)
        for key, value in ({"Content-Length": len(data)} | headers).items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(data)

    def _good(self):
        self._answer(png())

    def _gone(self):
        self._answer(b"", 404)

    def _flaky(self):
        self._answer(png(), 503 if self.server.asked["flaky"] < 3 else 200)

    def _cut(self):
        self._answer(png()[:20], Content_Length=len(png()))
        self.close_connection = True

    def _hanging(self):
        self.server.released.wait(20)

    def _dripping(self):
        self._answer(b"", Content_Length=10_000)
        while not self.server.released.wait(0.05):
            self.wfile.write(b"x")

    def _big(self):
        self._answer(b"", Content_Length=2**20 + 1)

    def _endless(self):
        self.send_response(200)
        self.end_headers()
        while not self.server.released.is_set():
            self.wfile.write(bytes(2**16))

    def _redirect(self, target):
        self._answer(b"", 302, Location=target)

    def _moved(self):
        self._redirect("/good.png")

    def _to_file(self):
        self._redirect(f"file://{ROOT}/LICENSE")

    def _to_private(self):
        self._redirect(f"http://localhost:{self.server.server_port}/good.png")

    def _to_metadata(self):
        self._redirect("http://169.254.169.254/latest/meta-data")

    def _in_circles(self):
        self._redirect("/in_circles.png")

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):  # The scorer hung up.
            pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.asked, server.released = collections.Counter(), threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.released.set()
        server.shutdown()


def run(tmp_path, urls, **changes):
    """Status and error of each URL."""
    (tmp_path / "list.txt").write_text("\n".join(urls))
    model = write_channel_mean_model(tmp_path / "model.onnx")
    output = str(tmp_path / f"{len(urls)}.parquet")
    images = str(tmp_path / "list.txt")
    score(ScoringConfig(model, images, output=output, decoders=len(urls), **changes))
    rows = parquet.read_table(output).to_pylist()
    return [(row["status"], row["error"]) for row in rows]


@pytest.mark.xfail(
    strict=True, reason="Nothing limits the time, the size or the redirects of what a URL gives."
)
def test_every_url_is_one_row_in_bounded_time(tmp_path, server, monkeypatch):
    monkeypatch.setattr("export.files.url_file.FIRST_PAUSE_SECONDS", 0.01)
    expected = {
        "good": ("ok", None),
        "moved": ("ok", None),
        "flaky": ("ok", None),
        "gone": ("missing", "No such file"),
        "cut": ("unreadable", "3 attempts"),
        "hanging": ("unreadable", "3 attempts"),
        "dripping": ("unreadable", "more than 0.4 s (--read_seconds)"),
        "big": ("too_large", "--max_file_mb"),
        "endless": ("too_large", "--max_file_mb"),
        "in_circles": ("unreadable", "redirects"),
        "to_file": ("unreadable", "redirects to 'file://"),
        "to_private": ("unreadable", "--private_redirects"),
        "to_metadata": ("unreadable", "--private_redirects"),
    }
    start = time.monotonic()
    rows = run(
        tmp_path,
        [f"{server.url}/{name}.png" for name in expected],
        read_seconds=0.4,
        max_file_mb=1,
    )
    assert time.monotonic() - start < 10
    for (name, (status, words)), row in zip(expected.items(), rows, strict=True):
        assert (row[0], words is None or words in row[1]) == (status, True), (name, row)
    asked = server.asked
    assert (asked["flaky"], asked["cut"], asked["hanging"]) == (3, 3, 3)
    assert (asked["gone"], asked["big"], asked["to_private"]) == (1, 1, 1)
    (row,) = run(tmp_path, [f"{server.url}/to_private.png"], private_redirects=True)
    assert row[0] == "ok"


@pytest.mark.xfail(strict=True, reason="A pipe named by file:// is opened, which hangs for ever.")
def test_a_file_url_is_that_file_and_nothing_special(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    os.mkfifo(tmp_path / "pipe.png")
    names = ("a.png", "pipe.png", "gone.png")
    rows = run(tmp_path, [f"file://{tmp_path}/{name}" for name in names])
    assert [row[0] for row in rows] == ["ok", "unreadable", "missing"]
    assert "is not a regular file" in rows[1][1]


@pytest.mark.xfail(strict=True, reason="The end of the program waits for threads that read.")
def test_ctrl_c_ends_a_job_whose_decoders_hang(tmp_path, server):
    (tmp_path / "list.txt").write_text(f"{server.url}/hanging.png\n" * 3)
    model = write_channel_mean_model(tmp_path / "model.onnx")
    command = [sys.executable, str(ROOT / "score.py"), f"--model={model}", "--read_seconds=600"]
    command += [f"--images={tmp_path}/list.txt", f"--output={tmp_path}/scores.csv"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while not server.asked["hanging"] and time.monotonic() < end and process.poll() is None:
            time.sleep(0.02)
        is_asked = server.asked["hanging"] > 0
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=5)  # 2 seconds, and some for a busy machine.
        except subprocess.TimeoutExpired:
            process.kill()
        assert is_asked and process.returncode == 130, process.stderr.read()

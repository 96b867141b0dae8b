"""Images by URL: what a slow, broken or hostile server, and a special file, can do to a job."""

import collections
import functools
import http.server
import io
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from PIL import Image
from pyarrow import parquet

from export.scoring.config import ScoringConfig
from export.scoring.job import score
from tests.export.onnx_models import write_channel_mean_model
from tools.python_imports import REPOSITORY

ROOT = REPOSITORY


def png():
    stream = io.BytesIO()
    Image.new("RGB", (9, 7), (250, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the name of the file; counts requests."""

    def do_GET(self):
        name = self.path.strip("/").removesuffix(".png").replace(".", "_")
        self.server.asked[name] += 1
        getattr(self, f"_{name}")()

    def _answer(self, data, code=200, **headers):
        self.send_response(code)
        for key, value in ({"Content_Length": len(data)} | headers).items():
            self.send_header(key.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(data)

    def _good(self):
        self._answer(png())

    def _list_txt(self):
        self._answer(b"good.png\nmoved.png\ngone.png\n")

    def _gone(self):
        self._answer(b"", 404)

    _gone_txt = _gone

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
    return run_list(tmp_path, str(tmp_path / "list.txt"), decoders=len(urls), **changes)


def run_list(tmp_path, images, **changes):
    model = write_channel_mean_model(tmp_path / "model.onnx")
    output = str(tmp_path / f"{len(os.listdir(tmp_path))}.parquet")
    score(ScoringConfig(model, images, output=output, **changes))
    rows = parquet.read_table(output).to_pylist()
    return [(row["status"], row["error"]) for row in rows]


def test_every_url_is_one_row_in_bounded_time(tmp_path, server, monkeypatch):
    monkeypatch.setattr("export.files.url_file.FIRST_PAUSE_SECONDS", 0.01)
    expected = {
        "good": ("ok", None),
        "moved": ("ok", None),
        "flaky": ("ok", None),
        "gone": ("missing", "No such file"),
        "cut": ("unreadable", "3 attempts"),
        "big": ("too_large", "--max_file_mb"),
        "endless": ("too_large", "--max_file_mb"),
        "in_circles": ("unreadable", "redirects"),
        "to_file": ("unreadable", "redirects to 'file://"),
        "to_private": ("unreadable", "--private_redirects"),
        "to_metadata": ("unreadable", "--private_redirects"),
    }
    rows = run(tmp_path, [f"{server.url}/{name}.png" for name in expected], max_file_mb=1)
    for (name, (status, words)), row in zip(expected.items(), rows, strict=True):
        assert (row[0], words is None or words in row[1]) == (status, True), (name, row)
    asked = server.asked
    assert (asked["flaky"], asked["cut"]) == (3, 3)
    assert (asked["gone"], asked["big"], asked["to_private"]) == (1, 1, 1)
    (row,) = run(tmp_path, [f"{server.url}/to_private.png"], private_redirects=True)
    assert row[0] == "ok"
    start = time.monotonic()
    urls = [f"{server.url}/{name}.png" for name in ("hanging", "dripping")]
    for status, error in run(tmp_path, urls, read_seconds=0.2):
        assert status == "unreadable"
        assert "3 attempts failed, the last: it took more than 0.2 s (--read_seconds)" in error
    assert time.monotonic() - start < 10


def test_a_list_by_url_starts_its_relative_paths_at_its_folder(tmp_path, server):
    rows = run_list(tmp_path, f"{server.url}/list.txt")
    assert [row[0] for row in rows] == ["ok", "ok", "missing"]
    with pytest.raises(ValueError, match="the server answers 404"):
        run_list(tmp_path, f"{server.url}/gone.txt")


def test_a_file_url_is_that_file_and_nothing_special(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    os.mkfifo(tmp_path / "pipe.png")
    names = ("a.png", "pipe.png", "gone.png")
    rows = run(tmp_path, [f"file://{tmp_path}/{name}" for name in names])
    assert [row[0] for row in rows] == ["ok", "unreadable", "missing"]
    assert "is not a regular file" in rows[1][1]


def test_ctrl_c_ends_a_job_whose_decoders_hang(tmp_path, server):
    (tmp_path / "list.txt").write_text(f"{server.url}/hanging.png\n" * 3)
    model = write_channel_mean_model(tmp_path / "model.onnx")
    command = [sys.executable, str(ROOT / "score.py"), f"--model={model}", "--read_seconds=600"]
    command += [f"--images={tmp_path}/list.txt", f"--output={tmp_path}/scores.csv"]
    for _ in range(3):
        # A busy machine may hold up one of them; a job that waits for its decoders is always late.
        code, said = interrupt(command, server)
        if code == 130:
            break
    assert code == 130, said


def interrupt(command, server):
    """The exit code and the messages of a job that gets Ctrl-C while its decoders hang."""
    server.asked.clear()
    # A job that a shell put aside hands SIGINT down ignored; this one is as in a terminal.
    restore = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=restore
    ) as process:
        end = time.monotonic() + 60
        while not server.asked["hanging"] and time.monotonic() < end and process.poll() is None:
            time.sleep(0.02)
        is_asked = server.asked["hanging"] > 0
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=5)  # 2 seconds, and some for a busy machine.
        except subprocess.TimeoutExpired:
            process.kill()
        said = process.stderr.read()
    assert is_asked, said
    return process.returncode, said

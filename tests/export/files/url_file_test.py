"""A list by URL comes whole, after some attempts, or not at all."""

import http.server
import os
import tempfile
import threading

import pytest

from export.files import url_file
from export.files.read_limits import ReadLimits
from export.files.url_file import copy_here

LIST = b"a.png\nb.png\n"
WHOLE, HALF, BUSY, GONE = (200, LIST), (200, LIST[:6]), (503, b""), (404, b"")


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives the server's answers in turn; all declare the size of the whole list."""

    def do_GET(self):
        code, body = self.server.answers.pop(0)
        self.send_response(code)
        self.send_header("Content-Length", str(len(LIST) if body else 0))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of temporary files, empty."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def copy(folder, monkeypatch):
    """Copies a list from a server that gives some answers; the number of those left is returned."""
    monkeypatch.setattr(url_file, "FIRST_PAUSE_SECONDS", 0.01)
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

        def copy_answers(*answers):
            server.answers = list(answers)
            copied = copy_here(f"http://127.0.0.1:{server.server_port}/list.txt", ReadLimits())
            return copied, len(server.answers)

        yield copy_answers
        server.shutdown()


def test_a_list_that_breaks_off_is_asked_for_again(copy):
    copied, unused = copy(BUSY, HALF, WHOLE, GONE)
    with open(copied, "rb") as file:
        assert (file.read(), unused) == (LIST, 1)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [((GONE,), "the server answers 404"), ((HALF,) * 3, "3 attempts failed, the last: ")],
)
def test_a_list_that_does_not_come_leaves_nothing_behind(copy, folder, answers, reason):
    with pytest.raises(ValueError, match=f"list.txt' cannot be copied to '.*': .*{reason}"):
        copy(*answers)
    assert os.listdir(folder) == []


def test_a_pipe_is_no_list(folder):
    os.mkfifo(folder / "pipe.txt")
    with pytest.raises(ValueError, match="it is not a regular file"):
        copy_here(f"file://{folder}/pipe.txt", ReadLimits())

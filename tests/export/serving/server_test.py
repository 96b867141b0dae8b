"""A server from its start to its end."""

import collections
import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from export.serving.config import ServingConfig
from tests.export.encoded_images import good_images
from tests.export.serving.small_server import Client, read_answer, running
from tools.python_imports import REPOSITORY

PNG = good_images()["png"]


@pytest.fixture
def started(model):
    """A server as a user starts it, and its process."""
    process = subprocess.Popen(
        [sys.executable, "serve.py", f"--model={model}", "--port=0", "--drain_seconds=0.5"],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stderr.readline()
        assert (address := re.search(r"http://[\d.]+:\d+", line)), line
        yield Client(address.group()), process
    finally:
        process.kill()
        process.communicate()


class Load(threading.Thread):
    """Sends requests over one connection after another until no server takes one.

    Attributes:
        codes: Of all answers.
        lost: Requests that went out whole on a connection that was made, and got no answer.
    """

    def __init__(self, client):
        super().__init__()
        self._client = client
        self.codes = collections.Counter()
        self.lost = []

    def run(self):
        while True:
            connection = self._client.connect()
            try:
                connection.connect()
            except OSError:
                return
            try:
                is_open = True
                while is_open:
                    connection.request("POST", "/score", PNG, {"Content-Type": "image/png"})
                    code, headers, _ = read_answer(connection)
                    self.codes[code] += 1
                    is_open = headers.get("Connection") != "close"
            except OSError as error:
                self.lost.append(error)
            finally:
                connection.close()


def test_nothing_that_was_accepted_is_lost_when_the_server_is_told_to_stop(started):
    client, process = started
    threads = [Load(client) for _ in range(8)]
    for thread in threads:
        thread.start()
    while sum(thread.codes[200] for thread in threads) < 100:
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert process.wait(60) == 0
    assert [thread.lost for thread in threads] == [[]] * 8
    assert {code for thread in threads for code in thread.codes} == {200}
    assert process.stderr.read().splitlines()[-1] == "Stopped."


def test_a_server_that_is_about_to_stop_says_so_and_still_answers(model):
    with running(model, drain_seconds=60.0) as client:
        assert client.get("/readyz")[0] == 200
        client.server.should_exit = True
        while client.get("/readyz")[0] == 200:
            pass
        code, headers, body = client.get("/readyz")
        assert code == 503 and body["status"] == "draining"
        code, headers, _ = client.post(PNG)
        assert code == 200 and headers["Connection"] == "close"
        client.server.force_exit = True


def test_a_port_that_is_taken_and_a_model_that_is_none_are_one_message(model, tmp_path):
    from export.serving.server import serve

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"--port={port} cannot be opened.*in use.*Choose"):
            serve(ServingConfig(model=model, port=port))
    broken = tmp_path / "model.onnx"
    broken.write_bytes(b"no ONNX")
    for path, part in ((str(tmp_path / "gone.onnx"), "No model at"), (str(broken), "cannot open")):
        with pytest.raises(ValueError, match=part):
            serve(ServingConfig(model=path, port=0))
    with pytest.raises(ValueError, match="no address of this host"):
        serve(ServingConfig(model=model, port=0, host="no.such.host.invalid"))


def test_a_port_is_taken_while_the_model_is_loaded():
    from export.serving.listener import open_listener

    with open_listener("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ValueError, match=f"--port={port} cannot be opened.*in use.*Choose"):
            open_listener("127.0.0.1", port)


def test_the_next_server_takes_the_port_at_once(model):
    with running(model) as client:
        port = client.server._listener.getsockname()[1]
        with contextlib.closing(client.connect()) as connection:
            connection.request("POST", "/score", PNG, {"Content-Type": "image/png"})
            assert read_answer(connection)[0] == 200
    with running(model, port=port) as client:
        assert client.post(PNG)[0] == 200


def test_what_outlasts_the_stop_is_told_so(model, monkeypatch):
    from export.serving import batcher

    original, go_on = batcher.run_network, threading.Event()

    def run_network(*arguments):
        go_on.wait(60)
        return original(*arguments)

    monkeypatch.setattr(batcher, "run_network", run_network)
    answers = []
    with running(model, stop_seconds=1) as client:
        asking = threading.Thread(target=lambda: answers.append(client.post(PNG)))
        asking.start()
        while not client.server.server_state.tasks:
            time.sleep(0.01)
        client.server.should_exit = True
        asking.join()
        go_on.set()
    code, _, answer = answers[0]
    assert code == 503 and answer["status"] == "draining" and "--stop_seconds" in answer["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="a filter of Linux")
def test_a_connection_that_was_made_survives_the_end_of_new_ones():
    from export.serving.listener import address_of, open_listener, refuse_new_connections

    with open_listener("127.0.0.1", 0) as listener:
        listener.listen()
        address = listener.getsockname()
        assert address_of(listener) == f"http://127.0.0.1:{address[1]}"
        with socket.create_connection(address) as made:
            refuse_new_connections(listener)
            with pytest.raises(TimeoutError):
                socket.create_connection(address, timeout=0.05)
            made.sendall(b"request")
            with listener.accept()[0] as taken:
                assert taken.recv(7) == b"request"
                taken.sendall(b"answer")
            assert made.recv(6) == b"answer"

"""What too many, too large and too slow clients get, and that others do not notice."""

import concurrent.futures
import contextlib
import re
import socket
import threading
import time

import pytest

from export.serving.config import ServingConfig
from tests.export.encoded_images import good_images
from tests.export.serving.small_server import multipart, read_answer, running

PNG = good_images()["png"]
MIB = 2**20


@pytest.fixture(scope="module")
def client(model):
    with running(model, max_body_mb=1) as client:
        yield client


@pytest.fixture(scope="module")
def impatient(model):
    with running(model, request_seconds=0.3) as client:
        yield client


@contextlib.contextmanager
def open_socket(client):
    host, _, port = client.host.partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        yield connection


@pytest.mark.parametrize("is_declared", [True, False], ids=["declared", "in chunks"])
def test_a_body_of_100_mb_is_refused_and_not_kept(client, is_declared):
    held = []

    def blocks():
        for number in range(100):
            if number == 50:
                text = client.get("/metrics")[2].decode()
                held.append(float(re.search(r"^vac_serving_body_bytes (.*)", text, re.M)[1]))
            yield bytes(MIB)

    headers = {"Content-Type": "image/png"}
    if is_declared:
        headers["Content-Length"] = str(100 * MIB)
    with contextlib.closing(client.connect()) as connection:
        connection.request("POST", "/score", blocks(), headers, encode_chunked=not is_declared)
        code, _, body = read_answer(connection)
        assert code == 413 and body["status"] == "too_large" and "--max_body_mb" in body["error"]
        # The connection goes on.
        connection.request("POST", "/score", PNG, {"Content-Type": "image/png"})
        assert read_answer(connection)[0] == 200
    assert held == [0.0]  # Half of it came, and nothing was left of that.


def test_a_client_that_is_slow_with_its_body_is_told_so(impatient):
    with open_socket(impatient) as connection:
        head = b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
        connection.sendall(head + b"some")
        answer = connection.makefile("rb").read()  # To the end: the server closes.
    assert answer.startswith(b"HTTP/1.1 408") and b"slow_client" in answer
    assert b"--request_seconds" in answer and b"connection: close" in answer.lower()


@pytest.mark.parametrize("head", [b"", b"POST /score HTTP/1.1\r\nHost:"], ids=["nothing", "half"])
def test_a_client_that_never_ends_its_head_is_let_go(impatient, head):
    with open_socket(impatient) as connection:
        connection.sendall(head)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    assert impatient.post(PNG)[0] == 200


def test_a_client_that_leaves_in_its_body_is_forgotten(client):
    with open_socket(client) as connection:
        connection.sendall(b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome")
    _wait_for(lambda: b'reason="disconnected"' in client.get("/metrics")[2])
    assert client.post(PNG)[0] == 200


def _wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_words_that_are_no_request_are_answered(client):
    with open_socket(client) as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 400")


def test_a_thousand_connections_are_served(client):
    with contextlib.ExitStack() as opened:
        connections = [opened.enter_context(open_socket(client)) for _ in range(1000)]
        request = b"POST /score HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(PNG)
        for connection in connections[::20]:
            connection.sendall(request + PNG)
        for connection in connections[::20]:
            assert connection.recv(12) == b"HTTP/1.1 200"


def test_more_connections_than_allowed_get_503(model):
    with running(model, max_connections=1) as client:
        assert client.get("/healthz")[0] == 200
    with running(model, max_connections=3) as client, contextlib.ExitStack() as opened:
        for _ in range(2):
            opened.enter_context(open_socket(client))
        assert [client.get("/healthz")[0] for _ in range(3)] == [200] * 3
        opened.enter_context(open_socket(client))
        _wait_for(lambda: client.get("/healthz")[0] == 503)


def test_many_parts_of_a_small_body_are_refused_before_they_are_objects(model):
    with running(model, max_images=8) as client:
        for part in (b"{}", b"0", b'{"a":1,"b":2}'):
            body = b'{"images":[' + b",".join([part] * 100_000) + b"]}"
            code, _, answer = client.post(body, "application/json")
            assert code == 413 and answer["status"] == "too_many"
        code, _, answer = client.post(*multipart([("a", PNG)] * 9))
        assert code == 413 and "more than 8 images (--max_images)" in answer["error"]
        code, _, answer = client.post_json([{"name": "," * 200, "box": [0, 0, 3, 3]}] * 8)
        assert code == 422 and "either b64 or url" in answer["results"][0]["error"]


def test_a_form_that_breaks_off_loses_no_image_silently(client):
    body, kind = multipart([("a", PNG), ("b", PNG)])
    code, _, answer = client.post(body[: body.rindex(b"--3f1c--")], kind)
    assert code == 422 and "breaks off" in answer["error"]


def test_images_of_hosts_that_hang_keep_out_no_others(model):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.png"
        settings = {"url_hosts": "127.0.0.1", "request_seconds": 3.0}
        with running(model, queue_images=4, max_images=4, **settings) as client:
            pending = threading.Thread(target=client.post_json, args=([{"url": url}] * 4,))
            pending.start()
            _wait_for(lambda: b"vac_serving_queue_images 4.0" in client.get("/metrics")[2])
            code, headers, answer = client.post_json([{"url": url}])
            assert code == 429 and "4 images by URL wait" in answer["error"]
            assert headers["Retry-After"] == "3"
            assert client.post(PNG)[0] == 200
            pending.join()


@pytest.fixture
def blocked(monkeypatch):
    """An event without which no batch is computed."""
    from export.serving import batcher

    go_on, original = threading.Event(), batcher.run_network

    def run_network(*arguments):
        assert go_on.wait(60)
        return original(*arguments)

    monkeypatch.setattr(batcher, "run_network", run_network)
    yield go_on
    go_on.set()


def test_a_full_queue_is_said_at_once_and_what_was_accepted_is_answered(model, blocked):
    settings = {"queue_images": 4, "max_images": 4, "batch_size": 2, "batch_delay_ms": 0.0}
    with running(model, **settings) as client, concurrent.futures.ThreadPoolExecutor(4) as pool:
        accepted = [pool.submit(client.post, PNG) for _ in range(4)]
        _wait_for(lambda: b"vac_serving_queue_images 4.0" in client.get("/metrics")[2])
        code, headers, body = client.post(PNG)
        assert code == 429 and body["status"] == "busy" and "--queue_images" in body["error"]
        assert int(headers["Retry-After"]) >= 1
        assert client.get("/healthz")[0] == client.get("/readyz")[0] == 200
        blocked.set()
        assert [answer.result()[0] for answer in accepted] == [200] * 4
        assert client.post(PNG)[0] == 200
        text = client.get("/metrics")[2].decode()
    assert 'vac_serving_refused_requests_total{reason="busy"} 1.0' in text
    assert 'vac_serving_images_total{status="ok"} 5.0' in text
    assert "vac_serving_queue_images 0.0" in text
    assert 'vac_serving_request_seconds_count{code="429",path="/score"} 1.0' in text
    assert "vac_serving_batch_images_sum 5.0" in text


def test_bodies_that_wait_fill_their_memory_and_no_more(model, blocked):
    settings = {"queue_mb": 1, "max_body_mb": 1}
    large = PNG + bytes(700_000)
    with running(model, **settings) as client, concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, large)
        _wait_for(lambda: b"vac_serving_queue_images 1.0" in client.get("/metrics")[2])
        code, headers, body = client.post(large)
        assert code == 429 and "--queue_mb" in body["error"] and headers["Retry-After"]
        blocked.set()
        assert first.result()[0] == 200 and client.post(large)[0] == 200


@pytest.mark.parametrize(
    "settings, part",
    [
        ({"model": ""}, "Missing: --model"),
        ({"port": 70000}, "port must lie in 0..65535, got 70000"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"threshold": 1.5}, "threshold must be below 1"),
        ({"request_seconds": 0.0}, "request_seconds must be above 0"),
        ({"batch_delay_ms": float("nan")}, "batch_delay_ms must be a finite number"),
        ({"queue_images": 8}, "queue_images must be at least max_images"),
        ({"queue_mb": 8}, "queue_mb must be at least max_body_mb"),
        ({"providers": "gpu"}, "Unknown providers 'gpu'"),
        ({"devices": "cpu:1", "providers": "cuda"}, "asks for workers on the CPU"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, part):
    with pytest.raises(ValueError, match=part):
        ServingConfig(**({"model": "model.onnx"} | settings))

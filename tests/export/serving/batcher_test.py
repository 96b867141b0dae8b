"""Images of different requests share calls of the network, and each gets its own result."""

import concurrent.futures

import numpy as np
import onnx
import pytest

from export.scoring.decoding.loading import LoadedInput
from export.scoring.runtime.network_devices import DeviceError, NetworkDevices
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.image_file import ImageView
from export.scoring.sources.input import ScoringInput
from tests.export.onnx_models import convolution_model, random_images
from tests.export.serving.small_server import running


class BatchSizes:
    """Stands for the metrics."""

    def __init__(self):
        self.sizes = []

    def observe_batch(self, images, seconds):
        self.sizes.append(images)

    def observe_stage(self, stage, seconds):
        pass


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    path = tmp_path_factory.mktemp("bundle") / "model.onnx"
    onnx.save(convolution_model(size=16), path)
    return NetworkSession(str(path), threads=1)


def batcher(session, batch_size, delay=0.0):
    from export.serving.batcher import Batcher

    sizes = BatchSizes()
    devices = NetworkDevices.of(session)
    return Batcher(devices, np.full(3, 0.5, np.float32), batch_size, delay, sizes), sizes.sizes


def waiting(images, heatmaps="none"):
    from export.serving.batcher import WaitingImage

    views = [ImageView(values, (0, 0, 16, 16)) for values in images]
    return [
        WaitingImage(
            LoadedInput(ScoringInput(str(n), ""), view), heatmaps, concurrent.futures.Future()
        )
        for n, view in enumerate(views)
    ]


def results(batcher, images):
    for image in images:
        batcher.put(image)
    batcher.start()
    return [image.answer.result(60) for image in images]


def test_what_waits_is_computed_together_up_to_the_batch_size(session):
    made, sizes = batcher(session, 3)
    found = results(made, waiting(random_images(7)))
    assert sizes == [3, 3, 1]
    assert [result["image"] for result in found] == list("0123456")


def test_an_image_waits_for_others_as_long_as_the_delay(session):
    made, sizes = batcher(session, 2, delay=3600.0)
    first, second = waiting(random_images(2))
    made.start()
    made.put(first)
    assert not sizes
    made.put(second)
    assert first.answer.result(60)["status"] == second.answer.result(60)["status"] == "ok"
    assert sizes == [2]


def test_results_do_not_depend_on_neighbours(session):
    images = random_images(6)
    alone = results(batcher(session, 1)[0], waiting(images))
    together = results(batcher(session, 6)[0], waiting(images))
    for one, other in zip(alone, together, strict=True):
        assert one["decisions"] == other["decisions"]
        for label, value in one["probabilities"].items():
            assert abs(value - other["probabilities"][label]) < 1e-6


def test_heatmaps_are_only_of_those_that_ask(session):
    images = waiting(random_images(2), "maps")[:1] + waiting(random_images(2))[1:]
    with_maps, without = results(batcher(session, 2)[0], images)
    assert list(with_maps["heatmaps"]) == with_maps["decisions"] != []
    assert "peaks" not in without and "heatmaps" not in without


def test_a_black_image_fills_a_batch_on_a_gpu_and_gets_no_result(session, monkeypatch):
    made, _ = batcher(session, 8)
    alone = results(batcher(session, 1)[0], waiting(random_images(5)))
    shapes, (device,) = [], made._computing
    monkeypatch.setattr(device, "_slots", lambda images: 1 << (images - 1).bit_length())
    original = session.input_buffers
    monkeypatch.setattr(
        session, "input_buffers", lambda slots, n: (shapes.append(slots), original(slots, n))[1]
    )
    together = results(made, waiting(random_images(5)))
    assert shapes == [8] and len(together) == 5
    assert [r["decisions"] for r in together] == [r["decisions"] for r in alone]


def test_a_network_that_fails_is_told_to_those_who_wait(session, monkeypatch):
    made, _ = batcher(session, 1)
    (device,) = made._computing

    def fail(*_):
        raise RuntimeError("CUDA error")

    with monkeypatch.context() as patch:
        patch.setattr(device, "run", fail)
        (image,) = waiting(random_images(1))
        with pytest.raises(DeviceError, match="cpu cannot compute the network: CUDA error"):
            results(made, [image])
        assert not made.is_well
    (image,) = waiting(random_images(1))
    made.put(image)
    assert image.answer.result(60)["status"] == "ok" and made.is_well


def test_a_server_whose_network_fails_asks_to_be_started_again(model, monkeypatch):
    from export.serving import batcher as batcher_module

    with running(model) as client:
        assert client.get("/healthz")[0] == 200

        def fail(*_):
            raise RuntimeError("CUDA error")

        monkeypatch.setattr(batcher_module, "run_network", fail)
        from tests.export.encoded_images import good_images

        code, _, body = client.post(good_images()["png"])
        assert code == 503 and body["status"] == "device_error" and "CUDA error" in body["error"]
        assert client.get("/healthz")[0] == 503

"""One network on several devices: CPU workers as they are, GPUs that are made up."""

import pytest

from export.scoring.runtime import network_devices
from export.scoring.runtime.doctor import consult_doctor
from export.scoring.runtime.host_facts import CPU, CUDA, TENSORRT
from export.scoring.runtime.network_devices import NetworkDevices
from export.scoring.runtime.providers import ProviderError, provider_options
from export.scoring.runtime.session import NetworkSession
from tests.export.onnx_models import write_channel_mean_model


@pytest.fixture
def model(tmp_path):
    return write_channel_mean_model(tmp_path / "model.onnx")


class FakeSession:
    """A session on a made-up GPU, which may fail to open or to run."""

    opened, fails_to_open, fails_to_run, changes = [], None, None, False

    def __init__(self, path, providers, gpu_memory_mb, threads, gpu):
        if gpu == self.fails_to_open:
            raise ProviderError(f"{CUDA} cannot be used. out of memory")
        self.opened.append((providers, gpu_memory_mb, threads, gpu))
        self.provider, self.gpu = CUDA, gpu
        self.sha256 = f"ab{gpu if self.changes else ''}"
        self.description, self.placement = None, f"53 of 53 convolutions on {CUDA}"

    def warm_up(self, slots):
        if self.gpu == self.fails_to_run:
            raise ProviderError(f"{CUDA} cannot be used. cuDNN is not available")
        return 0.25 * slots


@pytest.fixture
def gpus(monkeypatch):
    """A host with two GPUs of one kind; the class of the sessions on them."""

    class Sessions(FakeSession):
        opened = []

    monkeypatch.setattr(network_devices, "gpu_is_visible", lambda: True)
    monkeypatch.setattr(network_devices, "gpu_names", lambda: ["H100", "H100"])
    monkeypatch.setattr(network_devices, "NetworkSession", Sessions)
    monkeypatch.setattr(
        network_devices.onnxruntime, "get_available_providers", lambda: [TENSORRT, CUDA, CPU]
    )
    return Sessions


def test_one_device_unless_asked_for_more(model):
    devices = NetworkDevices.open(model, "auto" if not network_devices.gpu_is_visible() else "cpu")
    assert list(devices.sessions) == ["cpu"] and devices.images == {"cpu": 0}
    assert devices.first.provider == CPU and devices.warm_up(4) == 0.0


def test_workers_on_the_cpu_divide_its_threads(model, monkeypatch):
    monkeypatch.setattr("export.scoring.runtime.device_choice.available_cores", lambda: 8)
    original, threads = NetworkSession.__init__, []

    def init(self, path, providers, gpu_memory_mb, share):
        threads.append(share)
        original(self, path, providers, gpu_memory_mb, share)

    monkeypatch.setattr(NetworkSession, "__init__", init)
    devices = NetworkDevices.open(model, "auto", "cpu:2", threads=5)
    assert list(devices.sessions) == ["cpu-1", "cpu-2"] and threads == [3, 2]
    assert {session.provider for session in devices.sessions.values()} == {CPU}


def test_all_gpus_or_some(gpus):
    devices = NetworkDevices.open("m.onnx", "auto", "all", gpu_memory_mb=7)
    assert list(devices.sessions) == ["cuda:0", "cuda:1"]
    assert gpus.opened == [("cuda", 7, 0, 0), ("cuda", 7, 0, 1)]
    assert devices.warm_up(4) == 2.0
    gpus.opened.clear()
    assert list(NetworkDevices.open("m.onnx", "tensorrt", "1").sessions) == ["cuda:1"]
    assert gpus.opened == [("tensorrt", 0, 0, 1)]


def test_a_session_is_opened_on_its_gpu():
    for provider in (CUDA, TENSORRT):
        assert provider_options(provider, "ab12", 0, 3)["device_id"] == "3"


def test_a_gpu_that_is_not_there_is_named_with_those_that_are(gpus):
    with pytest.raises(ProviderError, match=r"no GPU 2, 7. CUDA shows 2: 0 \(H100\), 1 \(H100\)"):
        NetworkDevices.open("m.onnx", "auto", "0,2,7")
    assert gpus.opened == []


def test_all_without_a_gpu_is_an_error(model, gpus, monkeypatch):
    monkeypatch.setattr(network_devices, "gpu_names", list)
    with pytest.raises(ProviderError, match="--devices=all: CUDA shows no GPU"):
        NetworkDevices.open("m.onnx", "auto", "all")
    monkeypatch.setattr(network_devices, "gpu_is_visible", lambda: False)
    with pytest.raises(ProviderError, match="No NVIDIA GPU is visible.*nvidia-smi"):
        NetworkDevices.open("m.onnx", "auto", "all")
    text, is_well = consult_doctor(model, "auto", "all")
    assert "No NVIDIA GPU is visible" in text and not is_well


def test_a_driver_that_does_not_answer_is_diagnosed(gpus, monkeypatch):
    def refuse():
        raise OSError("the NVIDIA driver answers cuInit with the error 999")

    monkeypatch.setattr(network_devices, "gpu_names", refuse)
    with pytest.raises(ProviderError, match=f"{CUDA} cannot be used.*cuInit with the error 999"):
        NetworkDevices.open("m.onnx", "auto", "all")


def test_a_device_that_does_not_start_after_others_is_named_in_one_message(gpus):
    gpus.fails_to_open = 1
    with pytest.raises(ProviderError, match=f"^cuda:1 does not start: {CUDA} .* out of memory$"):
        NetworkDevices.open("m.onnx", "auto", "all")
    gpus.fails_to_open, gpus.fails_to_run = None, 1
    devices = NetworkDevices.open("m.onnx", "auto", "all")
    with pytest.raises(ProviderError, match="^cuda:1 does not start: .* cuDNN is not available$"):
        devices.warm_up(4)


def test_a_model_that_is_replaced_meanwhile_is_not_scored_by_halves(gpus):
    gpus.changes = True
    with pytest.raises(ValueError, match="'m.onnx' was replaced while it was opened"):
        NetworkDevices.open("m.onnx", "auto", "all")


def test_gpus_of_several_kinds_are_warned_of(gpus, monkeypatch, caplog):
    NetworkDevices.open("m.onnx", "auto", "all")
    assert not caplog.messages
    monkeypatch.setattr(network_devices, "gpu_names", lambda: ["H100", "A100"])
    NetworkDevices.open("m.onnx", "auto", "1")
    assert not caplog.messages
    NetworkDevices.open("m.onnx", "auto", "all")
    assert "several kinds (A100, H100)" in caplog.text


def test_the_doctor_opens_a_model_on_each_worker(model, monkeypatch):
    monkeypatch.setattr("export.scoring.runtime.device_choice.available_cores", lambda: 2)
    assert f"opens: {CPU}, on each of cpu-1, cpu-2" in consult_doctor(model, "cpu", "cpu:2")[0]

"""Bound input of a GPU: its logic on the CPU, which ONNX Runtime binds in the same way."""

import ctypes
import gc

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.runtime.gpu_input_buffer import GpuInputBuffer, load_cuda_runtime, lock_pages
from export.scoring.runtime.host_facts import CPU, CUDA
from export.scoring.runtime.input_buffer import InputBuffer
from export.scoring.runtime.session import NetworkSession
from tests.export.onnx_models import description, write_channel_mean_model

OUTPUT_NAMES = ("logits", "probabilities", "heatmaps")
SHAPE = (3, 8, 8, 3)


@pytest.fixture
def path(tmp_path):
    return write_channel_mean_model(tmp_path / "model.onnx")


def images(seed):
    return np.random.default_rng(seed).uniform(0, 255, SHAPE).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_bound_input_gives_what_a_plain_run_gives(tmp_path, dtype):
    path = write_channel_mean_model(tmp_path / "model.onnx", description(input_dtype=dtype))
    session = onnxruntime.InferenceSession(path, providers=[CPU])
    plain, bound = InputBuffer(session), GpuInputBuffer(session, SHAPE, dtype, device="cpu")
    for seed in range(3):
        for buffer in (plain, bound):
            buffer.upload(images(seed).astype(dtype))
        expected, found = plain.run(OUTPUT_NAMES), bound.run(OUTPUT_NAMES)
        assert list(found) == list(OUTPUT_NAMES)
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value)
    assert list(bound.run(("probabilities",))) == ["probabilities"]


def test_images_may_be_overwritten_while_their_copy_is_computed(path):
    session = onnxruntime.InferenceSession(path, providers=[CPU])
    buffer = GpuInputBuffer(session, SHAPE, "float32", device="cpu")
    values = images(0)
    buffer.upload(values)
    first = buffer.run(("probabilities",))["probabilities"]
    values[:] = images(1)
    np.testing.assert_array_equal(buffer.run(("probabilities",))["probabilities"], first)
    buffer.upload(values)
    assert (buffer.run(("probabilities",))["probabilities"] != first).all()


def test_a_copy_is_made_by_a_thread_that_is_on_its_gpu(path):
    session, runtime = onnxruntime.InferenceSession(path, providers=[CPU]), FakeRuntime()
    buffer = GpuInputBuffer(session, SHAPE, "float32", 0, runtime, "cpu")
    buffer._gpu = 3  # Memory of a third GPU cannot be had here.
    buffer.upload(images(0))
    assert runtime.device == 3


class FakeRuntime:
    """Stands for libcudart; remembers which memory is locked."""

    def __init__(self, result=0):
        self.result, self.locked, self.last_error = result, {}, 0
        self.device = 0

    def cudaHostRegister(self, address, size, flags):
        if not self.result:
            self.locked[address.value] = size.value
        self.last_error = self.result
        return self.result

    def cudaGetLastError(self):
        error, self.last_error = self.last_error, 0
        return error

    def cudaSetDevice(self, number):
        self.device = number
        return 0

    def cudaHostUnregister(self, address):
        del self.locked[address.value]
        return 0


def test_pages_are_locked_as_long_as_the_array_lives():
    runtime, array = FakeRuntime(), np.zeros(SHAPE, np.float32)
    assert lock_pages(array, runtime)
    assert runtime.locked == {array.ctypes.data: array.nbytes}
    del array
    gc.collect()
    assert runtime.locked == {}


@pytest.mark.parametrize("runtime", [None, FakeRuntime(result=2)])
def test_memory_that_cannot_be_locked_is_said_in_the_log(runtime, caplog):
    assert not lock_pages(np.zeros(4), runtime)
    assert "copies to the GPU are slower" in caplog.text
    # Else ONNX Runtime would take the error for that of its next kernel.
    assert runtime is None or runtime.last_error == 0


def test_the_runtime_is_found_among_the_files_of_the_process(tmp_path):
    maps = tmp_path / "maps"
    maps.write_text("7f00-7f01 r--p 00000000 08:01 42   /usr/lib/libz.so.1\n")
    assert load_cuda_runtime(str(maps)) is None
    with open("/proc/self/maps") as file:
        libc = next(line.split()[-1] for line in file if "/libc.so" in line or "/libc-" in line)
    (tmp_path / "a folder").mkdir()
    link = tmp_path / "a folder" / "libcudart.so.13"
    link.symlink_to(libc)
    maps.write_text(f"7f00-7f01 r-xp 00000000 08:01 42   {link}\n7f02-7f03 rw-p 0 0:0 0\n")
    assert isinstance(load_cuda_runtime(str(maps)), ctypes.CDLL)


def test_a_whole_job_over_bound_buffers(path, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for number, colour in enumerate(np.random.default_rng(0).integers(0, 256, (11, 3))):
        Image.new("RGB", (9, 7), tuple(map(int, colour))).save(tmp_path / f"photos/{number}.png")
    config = ScoringConfig(
        model=path,
        images=str(tmp_path / "photos"),
        output=str(tmp_path / "s.csv"),
        batch_size=2,
        overwrite=True,
    )
    report, expected = score(config), (tmp_path / "s.csv").read_bytes()
    assert report.warm_up_seconds == 0.0

    def on_cpu(session, shape, dtype, gpu, runtime):
        return GpuInputBuffer(session, shape, dtype, gpu, runtime, "cpu")

    original = NetworkSession.__init__

    def pretend(self, *arguments):
        original(self, *arguments)
        self.provider = CUDA

    monkeypatch.setattr("export.scoring.runtime.session.GpuInputBuffer", on_cpu)
    monkeypatch.setattr(NetworkSession, "__init__", pretend)
    report = score(config)
    assert (tmp_path / "s.csv").read_bytes() == expected
    assert report.warm_up_seconds > 0.0

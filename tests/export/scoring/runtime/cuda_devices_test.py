"""The GPUs that the driver shows, from a driver that is made up: the calls are those of CUDA."""

import ctypes

import pytest

from export.scoring.runtime.cuda_devices import gpu_names


class FakeDriver:
    """Stands for libcuda.so.1 of a host with these GPUs."""

    def __init__(self, names, init_error=0, name_error=0):
        self.names, self.init_error, self.name_error = names, init_error, name_error

    def cuInit(self, flags):
        assert flags == 0
        return self.init_error

    def cuDeviceGetCount(self, count):
        count._obj.value = len(self.names)
        return 0

    def cuDeviceGet(self, device, number):
        device._obj.value = 100 + number  # A handle need not be the number.
        return 0

    def cuDeviceGetName(self, name, length, device):
        name.value = self.names[device.value - 100].encode()[: length - 1]
        return self.name_error


def test_gpus_come_by_number():
    assert gpu_names(FakeDriver(["H100", "A100"])) == ["H100", "A100"]
    assert gpu_names(FakeDriver([])) == []


def test_a_driver_that_shows_no_gpu_is_no_error():
    assert gpu_names(FakeDriver(["hidden"], init_error=100)) == []


@pytest.mark.parametrize("faults, function", [((999, 0), "cuInit"), ((0, 3), "cuDeviceGetName")])
def test_a_driver_that_does_not_answer_is_an_error(faults, function):
    with pytest.raises(OSError, match=f"{function} with the error"):
        gpu_names(FakeDriver(["H100"], *faults))


def test_a_host_without_the_driver_says_so(monkeypatch):
    def refuse(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    with pytest.raises(OSError, match="libcuda.so.1"):
        gpu_names()

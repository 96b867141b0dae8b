"""What --devices says; tests/export/scoring/config_test.py has what it must not say."""

import pytest

from export.scoring.runtime import device_choice
from export.scoring.runtime.device_choice import DeviceChoice


def test_the_forms_of_the_flag():
    assert DeviceChoice.parse("") == DeviceChoice()
    assert DeviceChoice.parse("all").all_gpus and DeviceChoice.parse("all").has_gpus
    assert DeviceChoice.parse("2,0").gpus == (2, 0) and DeviceChoice.parse("0").has_gpus
    assert DeviceChoice.parse("cpu:12").cpu_workers == 12
    assert not DeviceChoice.parse("cpu:12").has_gpus


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
@pytest.mark.parametrize("total", [1, 2, 8, 9])
def test_workers_divide_the_threads_and_none_has_none(workers, total):
    shares = DeviceChoice(cpu_workers=workers).threads(total)
    assert len(shares) == workers and min(shares) >= 1
    assert max(shares) - min(shares) <= 1
    assert sum(shares) == max(total, workers)


def test_a_worker_needs_a_core(monkeypatch):
    monkeypatch.setattr(device_choice, "available_cores", lambda: 4)
    DeviceChoice.parse("cpu:4").check("auto")
    with pytest.raises(ValueError, match="which are 4. Give cpu:4 at most"):
        DeviceChoice.parse("cpu:5").check("cpu")

"""A precision that a device lacks is refused by name."""

import types

import pytest
import tensorflow as tf

from vac_tf.training.step.precision_check import check_precision


@pytest.fixture
def gpus(monkeypatch):
    """Makes this host have the GPUs of these compute capabilities."""

    def pretend(*capabilities):
        devices = [
            types.SimpleNamespace(name=f"GPU:{n}", of=of) for n, of in enumerate(capabilities)
        ]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices)
        monkeypatch.setattr(
            tf.config.experimental,
            "get_device_details",
            lambda device: (
                {"compute_capability": device.of, "device_name": "Tesla V100"} if device.of else {}
            ),
        )

    return pretend


def test_bfloat16_is_refused_where_one_gpu_lacks_it(gpus):
    gpus((9, 0), (7, 0))
    with pytest.raises(ValueError, match=r"8\.0 or more, and Tesla V100 has 7\.0.*mixed_float16"):
        check_precision("mixed_bfloat16")
    check_precision("mixed_float16")
    check_precision("float32")


@pytest.mark.parametrize("capabilities", [(), ((8, 0),), ((8, 6), (9, 0)), (None,)])
def test_bfloat16_is_taken_elsewhere(gpus, capabilities):
    gpus(*capabilities)
    check_precision("mixed_bfloat16")

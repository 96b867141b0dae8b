"""Whether the devices of a training can compute in the precision that is asked for."""

import tensorflow as tf

# TensorFlow's convolutions in bfloat16 need cuDNN's, which begin with Ampere.
_BFLOAT16_CAPABILITY = (8, 0)


def check_precision(precision: str) -> None:
    """Refuses `mixed_bfloat16` on a GPU that has no convolutions in it; a CPU computes in any.

    Args:
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.

    Raises:
        ValueError: naming the GPU, its compute capability and what to use instead.
    """
    if precision != "mixed_bfloat16":
        return
    for device in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(device)
        capability = details.get("compute_capability")
        if capability and capability < _BFLOAT16_CAPABILITY:
            name = details.get("device_name", device.name)
            raise ValueError(
                f"--precision=mixed_bfloat16 needs a GPU of compute capability"
                f" {_in_words(_BFLOAT16_CAPABILITY)} or more, and {name} has"
                f" {_in_words(capability)}: use --precision=mixed_float16 or float32, or hide this"
                " GPU with CUDA_VISIBLE_DEVICES."
            )


def _in_words(capability):
    return ".".join(str(number) for number in capability)

"""Files of tensors: equal to what PyTorch reads, and nothing but tensors."""

import builtins
import os
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from vac_tf.models.weights.tensor_file import read_tensors

GOLDENS = pathlib.Path(__file__).parents[3] / "goldens"
FILES = GOLDENS / "torch_files"
EVERY_LAYOUT = ("state", "state_before_1.6", "checkpoint", "checkpoint_before_1.6")


def assert_read_as_by_pytorch(folder, name):
    with np.load(folder / "expected.npz") as expected:
        tensors = read_tensors(str(folder / f"{name}.pth"))
        assert list(tensors) == list(expected)
        for tensor_name, array in tensors.items():
            assert array.dtype == expected[tensor_name].dtype, tensor_name
            np.testing.assert_array_equal(array, expected[tensor_name], strict=True)


@pytest.mark.parametrize("name", EVERY_LAYOUT)
def test_every_layout_gives_what_pytorch_reads(name):
    assert_read_as_by_pytorch(FILES, name)


@pytest.mark.slow
def test_files_of_the_installed_pytorch_are_read(tmp_path):
    if not (python := os.environ.get("VAC_TORCH_PYTHON")):
        pytest.skip("VAC_TORCH_PYTHON does not name the Python of an environment with PyTorch")
    subprocess.run([python, GOLDENS / "write_torch_files.py", tmp_path], check=True)
    for name in EVERY_LAYOUT:
        assert_read_as_by_pytorch(tmp_path, name)


def test_arrays_share_no_memory():
    tensors = read_tensors(str(FILES / "state.pth"))
    tensors["shared.all"][:] = -1.0
    assert tensors["shared.row"].min() >= 0.0


class Hostile:
    """A pickle of this runs a command when it is loaded."""

    def __init__(self, folder):
        self.command = f"touch {folder}/it_ran"

    def __reduce__(self):
        return os.system, (self.command,)


def pickles_of(content):
    """A file of the layout before torch 1.6, around any content."""
    system = {"protocol_version": 1001, "little_endian": True}
    parts = (0x1950A86A20F9469CFC6C, 1001, system, content, [])
    return b"".join(pickle.dumps(part, 2) for part in parts)


def test_a_pickle_that_asks_for_anything_else_is_refused_and_does_not_run(tmp_path):
    path = tmp_path / "hostile.pth"
    for content in (Hostile(tmp_path), {"state_dict": {"weight": Hostile(tmp_path)}}):
        for data in (pickles_of(content), pickle.dumps(content, 2)):
            path.write_bytes(data)
            with pytest.raises(ValueError, match=r"asks for posix\.system; only tensors"):
                read_tensors(str(path))
    assert os.listdir(tmp_path) == ["hostile.pth"]
    # The file is what it is taken for: Python's own unpickler runs the command.
    pickle.loads(pickle.dumps(Hostile(tmp_path), 2))
    assert (tmp_path / "it_ran").exists()


@pytest.mark.parametrize("name", ["eval", "getattr", "__import__"])
def test_builtins_are_refused(tmp_path, name):
    path = tmp_path / "hostile.pth"
    path.write_bytes(pickles_of([getattr(builtins, name)]))
    with pytest.raises(ValueError, match=f"asks for __builtin__.{name}"):
        read_tensors(str(path))


def test_a_whole_module_is_refused_by_name():
    with pytest.raises(ValueError, match=r"torch\.nn\.modules\.linear\.Linear.*state_dict\(\)"):
        read_tensors(str(FILES / "module.pth"))


def test_a_pickle_cannot_change_what_it_is_handed(tmp_path):
    """BUILD sets attributes of whatever lies on the stack: here of a function that it knows."""
    known = b"ctorch._utils\n_rebuild_tensor_v2\n"
    content = b"\x80\x02" + known + b"}X\x04\x00\x00\x00callX\x01\x00\x00\x00xsb."
    path = tmp_path / "hostile.pth"
    start, end = pickles_of(None).split(pickle.dumps(None, 2))
    path.write_bytes(start + content + end)
    with pytest.raises(ValueError, match="cannot be read as tensors"):
        read_tensors(str(path))
    assert_read_as_by_pytorch(FILES, "state")


@pytest.mark.parametrize("name", EVERY_LAYOUT)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_files_cut_short_are_refused(tmp_path, name, share):
    data = (FILES / f"{name}.pth").read_bytes()
    path = tmp_path / f"{name}.pth"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ValueError, match=f"'.*{name}.pth' cannot be read as tensors.*bytes"):
        read_tensors(str(path))


@pytest.mark.parametrize("name", EVERY_LAYOUT)
def test_damaged_files_are_read_or_refused(tmp_path, name):
    """Whatever bytes are flipped: arrays of the same shapes, or one ValueError."""
    data = (FILES / f"{name}.pth").read_bytes()
    path, generator = tmp_path / "damaged.pth", np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(data)
        for position in generator.integers(len(data), size=20):
            damaged[position] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            read_tensors(str(path))
        except ValueError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, expected a state dict"),
        ({"epoch": 3}, "no tensors by name.*found 'epoch'"),
        ({"state_dict": {}}, "no tensors by name.*found nothing"),
    ],
)
def test_files_without_tensors_are_refused(tmp_path, content, message):
    path = tmp_path / "other.pth"
    path.write_bytes(pickles_of(content))
    with pytest.raises(ValueError, match=message):
        read_tensors(str(path))


def test_a_state_dict_inside_itself_ends(tmp_path):
    path, content = tmp_path / "loop.pth", {}
    content["state_dict"] = content
    path.write_bytes(pickles_of(content))
    with pytest.raises(ValueError, match="no tensors by name"):
        read_tensors(str(path))


def test_a_missing_file_is_named():
    with pytest.raises(ValueError, match=r"No file of tensors at 'absent\.pth'"):
        read_tensors("absent.pth")


def test_safetensors_are_read(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    with np.load(FILES / "expected.npz") as expected:
        arrays = {f"module.{name}": np.ascontiguousarray(expected[name]) for name in expected}
    path = tmp_path / "state.safetensors"
    safetensors.save_file(arrays, path)
    tensors = read_tensors(str(path))
    assert list(tensors) == sorted(name.removeprefix("module.") for name in arrays)
    for name, array in tensors.items():
        np.testing.assert_array_equal(array, arrays[f"module.{name}"], strict=True)
    for data in (b"", path.read_bytes()[:-3], path.read_bytes()[:20], b"these are no tensors"):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"state\.safetensors' cannot be read as tensors"):
            read_tensors(str(path))


def test_bfloat16_in_safetensors_comes_as_float32(tmp_path):
    pytest.importorskip("safetensors")
    header = b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    values = np.array([1.5, -3.0], np.float32).view(np.uint32) >> 16
    path = tmp_path / "state.safetensors"
    data = values.astype("<u2").tobytes()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    np.testing.assert_array_equal(read_tensors(str(path))["a"], np.float32([1.5, -3.0]))


def test_without_the_package_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    path.write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ValueError, match="pip install -r requirements-pretrained.txt"):
        read_tensors(str(path))

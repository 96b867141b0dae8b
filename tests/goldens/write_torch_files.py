"""Writes torch_files/: one state dict as `torch.save` writes it, and what PyTorch reads from it.

    torch-venv/bin/python tests/goldens/write_torch_files.py [FOLDER]

with an environment of requirements-benchmarks.txt. The tests read the files without PyTorch; with
VAC_TORCH_PYTHON they run this program as well.
"""

import collections
import pathlib
import sys

import numpy as np
import torch

FOLDER = pathlib.Path(__file__).with_name("torch_files")


def state_dict():
    """Every number type, strides, storages that are shared, and a parameter."""
    generator = torch.Generator().manual_seed(20181026)
    shared = torch.rand(6, 5, generator=generator)
    return collections.OrderedDict(
        {
            "convolution.weight": torch.rand(4, 3, 3, 3, generator=generator),
            "linear.weight": torch.nn.Parameter(torch.rand(2, 3, generator=generator)),
            "transposed": torch.rand(4, 6, generator=generator).t(),
            "strided": torch.rand(8, 9, generator=generator)[1::3, 2::2],
            "shared.all": shared,
            "shared.row": shared[2],
            "shared.column": shared[:, 4],
            "half": torch.rand(7, generator=generator).half(),
            "bfloat16": torch.rand(3, 5, generator=generator).bfloat16(),
            "double": torch.rand(2, generator=generator).double(),
            "num_batches_tracked": torch.tensor(123456789012),
            "integers": torch.arange(-3, 3, dtype=torch.int32),
            "bytes": torch.arange(250, 256, dtype=torch.uint8),
            "booleans": torch.tensor([True, False, True]),
            "empty": torch.zeros(0, 3),
        }
    )


def checkpoint(state):
    """As training programs keep it: of a parallel module, beside an optimizer and a metric."""
    return {
        "epoch": 3,
        "arch": "resnet50",
        "metric": np.float64(0.5),
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(1000)}}, "param_groups": []},
        "state_dict": {f"module.{name}": tensor for name, tensor in state.items()},
    }


def as_float32(tensor):
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).detach().numpy()


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(exist_ok=True)
    state = state_dict()
    for name, content in {"state": state, "checkpoint": checkpoint(state)}.items():
        torch.save(content, folder / f"{name}.pth")
        older = folder / f"{name}_before_1.6.pth"
        torch.save(content, older, _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 3), folder / "module.pth")
    read = torch.load(folder / "state.pth", weights_only=True)
    np.savez(folder / "expected.npz", **{name: as_float32(each) for name, each in read.items()})


if __name__ == "__main__":
    main()

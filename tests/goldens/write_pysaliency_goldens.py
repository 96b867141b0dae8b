"""Writes pysaliency.npz: what pysaliency's metrics make of small random maps.

    python3.11 -m venv /tmp/pysaliency-venv
    /tmp/pysaliency-venv/bin/pip install pysaliency==0.2.22
    /tmp/pysaliency-venv/bin/python tests/goldens/write_pysaliency_goldens.py

The package imports PyTorch for its models; the two modules needed here are loaded by their paths.
The tests need only the file that this writes.
"""

import importlib.metadata
import importlib.util
import os
import pathlib

import numpy as np

OUTPUT = pathlib.Path(__file__).with_name("pysaliency.npz")
CASES, SHAPE = 5, (15, 20)


def main():
    # pysaliency 0.2.22 calls numpy.trapz, which NumPy 2.4 no longer has.
    np.trapz = np.trapezoid
    package = pathlib.Path(importlib.util.find_spec("pysaliency").origin).parent
    metrics = load(package / "metrics.py")
    general_roc = load(package / "numba_utils.py").general_roc_numba
    generator = np.random.default_rng(20190617)
    arrays = {"pysaliency_version": np.array(importlib.metadata.version("pysaliency"))}
    for case in range(CASES):
        saliency, density = generator.random((2, *SHAPE)).astype(np.float32).astype(np.float64) ** 3
        if case == CASES - 1:
            saliency[:] = 0.5
        mask = generator.random(SHAPE) < 0.1
        rows, columns = np.nonzero(mask)
        positives, negatives = saliency[mask], saliency[~mask]
        arrays |= {
            f"saliency_{case}": saliency,
            f"density_{case}": density,
            f"mask_{case}": mask,
            f"nss_{case}": metrics.NSS(saliency, columns, rows).mean(),
            f"cc_{case}": metrics.CC(saliency, density),
            f"kld_{case}": metrics.MIT_KLDiv(saliency, density),
            f"sim_{case}": metrics.SIM(saliency, density),
            f"auc_judd_{case}": general_roc(positives, negatives, judd=1)[0],
        }
    temporary = OUTPUT.with_suffix(".writing.npz")
    np.savez_compressed(temporary, **arrays)
    os.replace(temporary, OUTPUT)
    print(f"Wrote {len(arrays)} arrays, {OUTPUT.stat().st_size} bytes, to {OUTPUT}")


def load(path):
    """The module in a file, without the package around it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()

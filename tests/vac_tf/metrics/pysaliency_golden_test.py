"""Our saliency metrics against what pysaliency computed, where the definitions agree.

The goldens are written by tests/goldens/write_pysaliency_goldens.py. The last case is a constant
map. pysaliency has no AUC-Borji, its shuffled AUC takes all other fixations, and its information
gain is a difference of log-likelihoods per data set; those are tested against slow versions.
"""

import numpy as np
import pytest

from tools.python_imports import REPOSITORY
from vac_tf import saliency_metrics

GOLDENS = REPOSITORY / "tests" / "goldens" / "pysaliency.npz"


@pytest.fixture(scope="module")
def goldens():
    with np.load(GOLDENS) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("case", range(5))
@pytest.mark.parametrize("name", ["nss", "auc_judd", "cc", "kld", "sim"])
def test_equal_to_pysaliency(goldens, name, case):
    truth = "mask" if name in ("nss", "auc_judd") else "density"
    metric = getattr(saliency_metrics, name)
    ours = metric(goldens[f"saliency_{case}"], goldens[f"{truth}_{case}"])
    assert ours == pytest.approx(float(goldens[f"{name}_{case}"]), rel=1e-9, abs=1e-12)


def test_the_goldens_hold_different_maps(goldens):
    assert str(goldens["pysaliency_version"]) == "0.2.22"
    values = [float(goldens[f"kld_{case}"]) for case in range(5)]
    assert len(set(values)) == 5
    assert np.ptp(goldens["saliency_4"]) == 0 and np.ptp(goldens["saliency_0"]) > 0.9

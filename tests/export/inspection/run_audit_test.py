"""A run, its evaluation and its bundle say the same of how far heatmaps follow."""

import json
import pathlib

import pytest

from export.building.config import ExportConfig
from export.building.exporter import export_run
from export.inspection.audit_job import audit_images
from vac_tf.configs.audit import AuditConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.evaluation.classification import evaluate


def audited(tmp_path, name, **values):
    given = {"bootstrap_samples": 5, "examples": 0, "output": str(tmp_path / name)}
    audit_images(AuditConfig(**given | values))
    return json.loads((tmp_path / name / "audit.json").read_text())


@pytest.mark.slow
def test_run_evaluation_and_bundle_agree(finished_run, tmp_path):
    run = audited(tmp_path, "run", model=finished_run.run_dir, split="test")
    inconsistency = evaluate(EvaluationConfig(run_dir=finished_run.run_dir))["inconsistency"]
    assert set(inconsistency) == set(run["views"])
    for kind, expected in inconsistency.items():
        for name, value in expected.items():
            assert run["views"][kind][name] == pytest.approx(value, rel=1e-3), (kind, name)
    assert run["localization"]["pairs"] > 0
    bundle = tmp_path / "bundle"
    export_run(ExportConfig(run_dir=finished_run.run_dir, bundle_dir=str(bundle), parity_images=2))
    (folder,) = pathlib.Path(finished_run.data_dir).glob("scenes_*/test")
    exported = audited(tmp_path, "exported", model=str(bundle), images=str(folder))
    pictures = audited(tmp_path, "pictures", model=finished_run.run_dir, images=str(folder))
    for kind in ("hflip", "rotate", "translate"):
        for name in ("raw", "relative", "decisions_changed"):
            expected = pictures["views"][kind][name]
            assert exported["views"][kind][name] == pytest.approx(expected, rel=1e-3, abs=1e-6)

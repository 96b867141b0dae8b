"""Without pyarrow: one message where Parquet is asked for, and all else works."""

import pytest

from export.scoring import parquet_package
from export.scoring.output.writers import check_output
from export.scoring.runtime.doctor import consult_doctor
from export.scoring.runtime.host_facts import HostFacts
from export.scoring.sources.image_lists import list_source

MESSAGE = "needs pyarrow, which is not installed: pip install pyarrow, or use a file of CSV"


@pytest.fixture
def without_pyarrow(monkeypatch):
    monkeypatch.setattr(parquet_package, "is_installed", lambda: False)


def test_it_is_found_here():
    assert parquet_package.is_installed()
    parquet_package.require_for("x.parquet")


def test_an_output_is_refused_before_the_job_starts(without_pyarrow, tmp_path):
    with pytest.raises(ValueError, match=f"scores.parquet' {MESSAGE}"):
        check_output(str(tmp_path / "scores.parquet"))
    for suffix in (".csv", ".jsonl"):
        assert check_output(str(tmp_path / f"scores{suffix}")) == suffix


def test_a_list_is_refused(without_pyarrow, tmp_path):
    with pytest.raises(ValueError, match=f"images.parquet' {MESSAGE}"):
        list_source(str(tmp_path / "images.parquet"), ".parquet", "")


def test_the_doctor_tells_it_and_finds_no_fault_in_it(monkeypatch):
    facts = HostFacts({"onnxruntime": "1.31.1"}, providers=("CPUExecutionProvider",))
    monkeypatch.setattr("export.scoring.runtime.doctor.examine_host", lambda: facts)
    text, is_well = consult_doctor("", "auto")
    assert "Parquet    needs pyarrow: pip install pyarrow" in text and is_well

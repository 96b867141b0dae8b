"""Jobs whose output is there already: repeated, refused or, on request, replaced."""

from pathlib import Path

import pytest

from export.scoring.config import ScoringConfig
from export.scoring.engine.assembly import merge
from export.scoring.engine.finished_output import manifest_file
from export.scoring.engine.parts import open_shard
from export.scoring.engine.shard import Shard
from export.scoring.job import score
from tests.export.onnx_models import write_channel_mean_model
from tests.export.scoring.small_jobs import dying_in_assembly, write_list


@pytest.fixture
def job(tmp_path):
    """Flags of a job of 12 rows, 4 of them without an image."""
    model = write_channel_mean_model(tmp_path / "model.onnx")
    return {"model": model, "images": write_list(tmp_path, 4), "batch_size": 4}


def run(job, output, **changes):
    return score(ScoringConfig(**(job | {"output": str(output)} | changes)))


@pytest.mark.parametrize("name", ["scores.parquet", "scores.csv", "scores.jsonl"])
def test_a_finished_job_that_is_repeated_scores_nothing_and_says_so(job, tmp_path, loaded, name):
    run(job, tmp_path / name)
    before = (tmp_path / name).stat()
    loaded.clear()
    report = run(job, tmp_path / name)
    assert not loaded and dict(report.counts) == {"ok": 8, "missing": 4}
    assert str(report).startswith("Nothing to score: all 12 images were scored before")
    assert str(report).endswith("ok: 8, missing: 4; errors: 4")
    after = (tmp_path / name).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert not Path(f"{tmp_path / name}.parts").exists()


def test_a_file_that_no_job_wrote_is_not_replaced(job, tmp_path):
    (tmp_path / "scores.csv").write_text("precious")
    with pytest.raises(ValueError, match="scores.csv' exists .*--overwrite"):
        run(job, tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text() == "precious"


def test_the_output_of_another_job_is_not_replaced(job, tmp_path):
    run(job, tmp_path / "scores.csv")
    before = (tmp_path / "scores.csv").read_bytes()
    with pytest.raises(ValueError, match=r"another job: thresholds was \[0.5, .*--overwrite"):
        run(job, tmp_path / "scores.csv", threshold=0.25)
    assert (tmp_path / "scores.csv").read_bytes() == before


def test_a_folder_that_no_job_wrote_is_not_removed(job, tmp_path):
    (tmp_path / "scores.csv.heatmaps").mkdir()
    (tmp_path / "scores.csv.heatmaps/holiday.png").write_bytes(b"precious")
    with pytest.raises(ValueError, match="scores.csv.heatmaps' exists .*--overwrite"):
        run(job, tmp_path / "scores.csv", heatmaps="maps")
    assert (tmp_path / "scores.csv.heatmaps/holiday.png").exists()


def test_overwrite_replaces_whatever_is_there(job, tmp_path, loaded):
    (tmp_path / "scores.csv").write_text("not precious")
    (tmp_path / "scores.csv.heatmaps").mkdir()
    (tmp_path / "scores.csv.heatmaps/old.png").write_bytes(b"not precious")
    run(job, tmp_path / "scores.csv", overwrite=True, heatmaps="maps")
    assert not (tmp_path / "scores.csv.heatmaps/old.png").exists()
    first = (tmp_path / "scores.csv").read_bytes()
    loaded.clear()
    run(job, tmp_path / "scores.csv", overwrite=True, heatmaps="maps")
    assert len(loaded) == 12 and (tmp_path / "scores.csv").read_bytes() == first


def test_an_output_that_was_changed_is_not_taken_for_a_finished_one(job, tmp_path):
    run(job, tmp_path / "scores.csv")
    with open(tmp_path / "scores.csv", "a") as file:
        file.write("a note\n")
    with pytest.raises(ValueError, match="exists and is not as this job wrote it.*--overwrite"):
        run(job, tmp_path / "scores.csv")


@pytest.mark.parametrize("content", ["", "[]", '{"counts": {}}'])
def test_a_broken_manifest_makes_no_job_finished(job, tmp_path, content):
    run(job, tmp_path / "scores.csv")
    Path(manifest_file(f"{tmp_path}/scores.csv")).write_text(content)
    with pytest.raises(ValueError, match="exists and is of no job that its manifest would name"):
        run(job, tmp_path / "scores.csv")


def test_a_merge_that_is_repeated_says_so_and_replaces_no_other_output(job, tmp_path):
    output = tmp_path / "scores.csv"
    for number in (1, 2):
        run(job, output, shard=f"{number}/2")
    output.write_text("precious")
    with pytest.raises(ValueError, match="scores.csv' exists"):
        run(job, output, shard="1/2")
    with pytest.raises(ValueError, match="scores.csv' exists"):
        merge(str(output))
    assert output.read_text() == "precious"
    assert merge(str(output), overwrite=True).resumed == 0
    assert str(merge(str(output))).startswith("Nothing to score: all 12 images")
    assert run(job, output, shard="2/2").resumed == 12
    assert run(job, output).resumed == 12


@pytest.mark.parametrize("step", ["_move_heatmaps", "_remove_job_folder"])
def test_a_job_that_died_while_its_output_appeared_ends_with_it(job, tmp_path, monkeypatch, step):
    output = tmp_path / "scores.csv"
    run(job, tmp_path / "whole.csv", heatmaps="maps")
    with dying_in_assembly(monkeypatch, step):
        run(job, output, heatmaps="maps")
    assert run(job, output, heatmaps="maps").resumed == 12
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    pictures = [
        sorted(p.name for p in tmp_path.glob(f"{n}.csv.heatmaps/*/*.png"))
        for n in ("scores", "whole")
    ]
    assert pictures[0] and pictures[0] == pictures[1]
    assert not Path(f"{output}.parts").exists()


def test_the_state_of_another_job_outlives_a_finished_one(job, tmp_path):
    output = tmp_path / "scores.csv"
    run(job, output)
    run(job, output, shard="1/2", threshold=0.25, overwrite=True)
    assert run(job, output).resumed == 12
    with open_shard(str(output), Shard(1, 2)) as folder:
        assert folder.has_parts

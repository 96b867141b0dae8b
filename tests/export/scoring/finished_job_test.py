"""Jobs whose output is there already: repeated, refused or, on request, replaced."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from export.scoring.config import ScoringConfig
from export.scoring.engine.assembly import merge
from export.scoring.engine.finished_output import manifest_file
from export.scoring.engine.parts import open_shard
from export.scoring.engine.shard import Shard
from export.scoring.job import score
from tests.export.onnx_models import write_channel_mean_model
from tests.export.scoring.small_jobs import dying_in_assembly, save_colour, write_list


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


def test_the_same_names_in_another_folder_are_another_job(job, tmp_path, monkeypatch):
    for day, seed in (("monday", 0), ("tuesday", 1)):
        (tmp_path / day).mkdir()
        write_list(tmp_path / day, 4)
        save_colour(tmp_path / day / "photos/0.png", 100 * seed, 9, 9)
    output = tmp_path / "scores.csv"
    lists = [{"images": str(tmp_path / day / "list.txt")} for day in ("monday", "tuesday")]
    run(job, output, **lists[0])
    before = output.read_bytes()
    message = r"relative_to was \".*monday\", is \".*tuesday\".*--overwrite"
    with pytest.raises(ValueError, match=message):
        run(job, output, **lists[1])
    with pytest.raises(ValueError, match=message):  # A list may be read through another's folder.
        run(job, output, images=lists[0]["images"], image_root=str(tmp_path / "tuesday"))
    assert output.read_bytes() == before
    # By paths that are relative to the current folder, too; absolute ones start nowhere.
    here = tmp_path / "here.csv"
    for day, is_refused in (("monday", False), ("tuesday", True)):
        monkeypatch.chdir(tmp_path / day)
        with pytest.raises(ValueError, match="relative_to") if is_refused else nullcontext():
            run(job, here, images="photos")
    monkeypatch.chdir(tmp_path / "monday")
    assert "relative_to" not in json.dumps(manifest_of(run, job, tmp_path / "absolute.csv"))


def manifest_of(run, job, output):
    run(job, output, images=str(output.parent / "photos"))
    return json.loads(Path(manifest_file(str(output))).read_text())


def test_a_job_of_an_earlier_version_is_still_the_same(job, tmp_path):
    output = tmp_path / "scores.csv"
    run(job, output)
    path = Path(manifest_file(str(output)))
    manifest = json.loads(path.read_text())
    assert manifest["settings"].pop("relative_to") == str(tmp_path)
    path.write_text(json.dumps(manifest))
    assert run(job, output).resumed == 12


def test_shards_may_have_their_images_in_different_places(job, tmp_path):
    Path(job["images"]).write_text("".join(f"photos/{n % 4}.png\n" for n in range(12)))
    run(job, tmp_path / "whole.csv")
    shutil.copytree(tmp_path / "photos", tmp_path / "other/photos")
    shutil.copy(job["images"], tmp_path / "other/list.txt")
    output = tmp_path / "scores.csv"
    run(job, output, shard="1/2")
    run(job, output, shard="2/2", images=str(tmp_path / "other/list.txt"))
    merge(str(output))
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_what_a_killed_removal_left_goes_and_the_metrics_say_that_it_is_finished(job, tmp_path):
    output, metrics = tmp_path / "scores.csv", tmp_path / "job.prom"
    run(job, output)
    (tmp_path / "scores.csv.parts.removed/heatmaps").mkdir(parents=True)
    assert run(job, output, metrics_file=str(metrics)).resumed == 12
    assert not (tmp_path / "scores.csv.parts.removed").exists()
    lines = metrics.read_text().splitlines()
    assert "vac_scoring_finished 1.0" in lines and "vac_scoring_images_expected 12.0" in lines

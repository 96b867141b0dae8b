"""Where the network looked: positions in pixels of the image file, and pictures of them."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from export.files.atomic_file import sync_file_system
from export.images.picture import shrink_picture
from export.scoring.config import ScoringConfig
from export.scoring.engine import heatmap_rows
from export.scoring.engine.assembly import merge
from export.scoring.engine.heatmap_rows import HeatmapRows, selected_labels
from export.scoring.job import score
from export.scoring.output.heatmap_files import file_name, write_map, write_overlay
from tests.export.onnx_models import LABELS, write_channel_mean_model
from tests.export.scoring.small_jobs import Died, die, dying_in_assembly


def gauss(row, column, shape=(7, 9)):
    rows, columns = np.indices(shape)
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 2.0)


def test_maps_can_be_turned_back_into_values(tmp_path):
    heatmap = gauss(3, 3) * 7.0 - 2.0
    path = tmp_path / "folder" / "map.png"
    write_map(str(path), heatmap)
    with Image.open(path) as image:
        low, high = (float(image.text[name]) for name in ("minimum", "maximum"))
        values = low + np.asarray(image) / 255.0 * (high - low)
    np.testing.assert_allclose(values, heatmap, atol=0.51 * (high - low) / 255.0)
    write_map(str(path), np.full((2, 2), 3.0))
    with Image.open(path) as image:
        assert not np.asarray(image).any()
    assert [p.name for p in path.parent.iterdir()] == ["map.png"]


def test_overlays_colour_the_place_and_leave_the_rest(tmp_path):
    picture = np.full((70, 90, 3), 100, np.uint8)
    heatmap = np.zeros((7, 9))
    heatmap[1, 1] = 5.0
    write_overlay(str(tmp_path / "o.png"), heatmap, picture)
    with Image.open(tmp_path / "o.png") as image:
        pixels = np.asarray(image).astype(int)
    assert pixels.shape == picture.shape
    np.testing.assert_array_equal(pixels[40:, 40:], picture[40:, 40:])
    red, green, blue = pixels[15, 15]
    assert red > 150 and max(green, blue) < 100
    write_overlay(str(tmp_path / "o.png"), -np.ones((7, 9)), picture)
    with Image.open(tmp_path / "o.png") as image:
        np.testing.assert_array_equal(np.asarray(image), picture)


def test_pictures_are_shrunk_and_never_enlarged():
    assert shrink_picture(np.zeros((2000, 1000, 3), np.uint8)).shape == (512, 256, 3)
    assert shrink_picture(np.zeros((20, 30, 3), np.uint8)).shape == (20, 30, 3)


def test_file_names_are_safe_and_distinct():
    names = {file_name(1234567, "a/b/my photo.é.jpg", n, "../a b/ü", 0.9126) for n in (0, 1)}
    assert names == {f"001234/001234567_my-photo_00{n}_a-b_0.913.png" for n in (0, 1)}
    longest = file_name(10**9, "i" * 300, 0, "l" * 300, 1.0)
    assert len(longest.partition("/")[2]) < 120


def test_labels_are_chosen_by_name():
    names = ("cat", "a, b", "dog")
    assert selected_labels("", names).all()
    assert selected_labels('dog, "a, b"', names).tolist() == [False, True, True]
    with pytest.raises(ValueError, match="has no labels of the model: cow. Expected some of: cat"):
        selected_labels("cat,cow", names)


# ---- Whole jobs. The tiny model's heatmap of a colour is that channel of its input.


@pytest.fixture
def job(tmp_path):
    """A picture that is dark but for one bright red and blue quarter, and a broken one."""
    (tmp_path / "photos").mkdir()
    pixels = np.zeros((160, 320, 3), np.uint8)
    pixels[80:, :160] = (255, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "photos/a.png")
    (tmp_path / "photos/b.jpg").write_text("no image")
    (tmp_path / "list.csv").write_text(
        "image,x,y,w,h\nphotos/a.png,,,,\nphotos/b.jpg,,,,\nphotos/a.png,0,80,320,80\n"
    )
    return {
        "model": write_channel_mean_model(tmp_path / "model.onnx"),
        "images": str(tmp_path / "list.csv"),
        "threshold": 0.1,
        "batch_size": 2,
    }


def run(job, output, **changes):
    score(ScoringConfig(**(job | {"output": str(output), "overwrite": True} | changes)))
    text = output.read_text() if output.suffix != ".parquet" else ""
    if output.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    if output.suffix == ".csv":
        rows = list(csv.DictReader(text.splitlines()))
        return [row | {"peaks": json.loads(row.get("peaks") or "null")} for row in rows]
    return parquet.read_table(output).to_pylist()


@pytest.mark.parametrize("name", ["s.parquet", "s.jsonl", "s.csv"])
def test_peaks_are_a_column(job, tmp_path, name):
    whole, broken, box = run(job, tmp_path / name, heatmaps="peaks", threshold=0.05)
    assert list(whole)[-1] == "peaks" and broken["peaks"] is None
    assert [peak["label"] for peak in whole["peaks"]] == ["red", "blue"]
    peak = whole["peaks"][0]
    assert 80 < peak["row"] < 160 and 0 < peak["column"] < 160
    assert [peak[side] for side in "xywh"] == [0.0, 80.0, 160.0, 80.0]
    assert (peak["value"], peak["file"]) == (255.0, None)
    assert [box["peaks"][0][side] for side in "xywh"] == [0.0, 80.0, 160.0, 80.0]
    assert not (tmp_path / f"{name}.heatmaps").exists()


@pytest.mark.parametrize("name", ["s.parquet", "s.jsonl", "s.csv"])
def test_logits_are_columns(job, tmp_path, name):
    rows = run(job, tmp_path / name, logits=True)
    columns = [name for name in rows[0] if name != "peaks"]
    assert columns[-4:] == ["decisions", "logit:red", "logit:green", "logit:blue"]
    for row in (rows[0], rows[2]):
        for colour in ("red", "green", "blue"):
            logit, probability = float(row[f"logit:{colour}"]), float(row[colour])
            assert probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)
    assert not rows[1]["logit:red"]


@pytest.mark.parametrize("mode", ["maps", "overlays"])
def test_files_lie_beside_the_output_under_the_names_of_the_rows(job, tmp_path, mode):
    output = tmp_path / "s.jsonl"
    rows = run(job, output, heatmaps=mode, heatmap_labels="blue", threshold=0.05)
    folder = tmp_path / "s.jsonl.heatmaps"
    names = [peak["file"] for row in (rows[0], rows[2]) for peak in row["peaks"]]
    assert [name[:29] for name in names] == [
        "000000/000000000_a_002_blue_0",
        "000000/000000002_a_002_blue_0",
    ]
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*.png")) == names
    with Image.open(folder / names[1]) as image:
        assert image.size == {"maps": (8, 8), "overlays": (320, 80)}[mode]
    # An older folder is replaced, whole.
    rows = run(job, output, heatmaps=mode, heatmap_labels="red", threshold=0.05)
    assert len(list(folder.rglob("*.png"))) == 2 and not list(folder.rglob("*blue*"))
    assert sorted(p.name for p in tmp_path.glob("s.jsonl*")) == [
        "s.jsonl",
        "s.jsonl.heatmaps",
        "s.jsonl.manifest.json",
    ]


def test_the_name_of_an_overlay_tells_the_image_the_label_and_the_score(job, tmp_path):
    rows = run(job, tmp_path / "s.jsonl", heatmaps="overlays", threshold=0.05)
    for number in (0, 2):
        for peak in rows[number]["peaks"]:
            name = Path(peak["file"]).name
            assert name.startswith(f"{number:09}_a_")
            assert name.endswith(f"_{peak['label']}_{rows[number][peak['label']]:.3f}.png")


def test_shards_write_the_same_files(job, tmp_path):
    def contents(folder):
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.png")}

    output = tmp_path / "s.parquet"
    changes = {"heatmaps": "maps", "logits": True, "threshold": 0.05}
    run(job, output, **changes)
    whole, files = output.read_bytes(), contents(tmp_path / "s.parquet.heatmaps")
    output.unlink()
    for number in (2, 1):
        score(ScoringConfig(**(job | changes), output=str(output), shard=f"{number}/2"))
    merge(str(output))
    assert output.read_bytes() == whole
    assert contents(tmp_path / "s.parquet.heatmaps") == files and len(files) == 4


def test_files_must_not_become_images_of_the_job(job, tmp_path):
    changes = {"images": str(tmp_path / "photos"), "heatmaps": "maps"}
    with pytest.raises(ValueError, match="would write images into .* Give an --output outside"):
        run(job, tmp_path / "photos/s.csv", **changes)
    assert not (tmp_path / "photos/s.csv.parts").exists()
    run(job, tmp_path / "photos/s.csv", **(changes | {"heatmaps": "peaks"}))


@pytest.mark.parametrize(
    "pattern, output, is_refused",
    [
        ("photos/**/*.png", "photos/s.csv", True),
        ("**/*.png", "s.csv", True),
        ("*/*/*.png", "s.csv", True),
        ("photo*/**/*.png", "photos/s.csv", True),
        ("photos/**/*.jpg", "photos/s.csv", False),
        ("photos/a**/*.png", "photos/s.csv", False),
        ("photos/*.png", "photos/s.csv", False),
        ("photos/**/*.png", "s.csv", False),
        ("photos/*/*/*.jpg", "photos/s.csv", False),
    ],
)
def test_nor_images_that_a_glob_finds(job, tmp_path, pattern, output, is_refused):
    values = job | {"images": str(tmp_path / pattern), "output": str(tmp_path / output)}
    config = ScoringConfig(**values, heatmaps="maps")
    thresholds = np.zeros(3, np.float32)
    if not is_refused:
        HeatmapRows(config, LABELS, "folder", thresholds)
        return
    with pytest.raises(ValueError, match="would write images into .* Give an --output outside"):
        HeatmapRows(config, LABELS, "folder", thresholds)


@pytest.fixture
def sharded(job, tmp_path):
    """A finished first shard of two with heatmap files, and its output."""
    output = tmp_path / "s.jsonl"
    changes = job | {"heatmaps": "maps", "threshold": 0.05, "output": str(output)}
    score(ScoringConfig(**changes, shard="1/2"))
    return changes, output


def named_files(output):
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    return {peak["file"] for row in rows for peak in row["peaks"] or ()}


def written_files(output):
    folder = output.with_name(f"{output.name}.heatmaps")
    return {str(path.relative_to(folder)) for path in folder.rglob("*.png")}


def test_a_refused_job_leaves_the_files_of_finished_shards(sharded):
    changes, output = sharded
    with pytest.raises(ValueError, match="holds the state of another job"):
        score(ScoringConfig(**changes))
    score(ScoringConfig(**changes, shard="2/2"))
    merge(str(output))
    assert named_files(output) == written_files(output) and len(written_files(output)) == 4


def test_files_outlive_a_kill_after_they_were_moved(job, tmp_path, monkeypatch):
    output = tmp_path / "s.jsonl"
    changes = {"heatmaps": "maps", "threshold": 0.05, "output": str(output)}
    config = ScoringConfig(**(job | changes))
    with dying_in_assembly(monkeypatch, "_remove_job_folder"):
        score(config)
    assert len(written_files(output)) == 4
    score(config)
    assert named_files(output) == written_files(output) and len(written_files(output)) == 4


def test_no_half_written_png_stays(job, tmp_path, monkeypatch):
    output = tmp_path / "s.jsonl"
    changes = {"heatmaps": "maps", "threshold": 0.05, "rows_per_part": 2}

    def write_half(path, heatmap):
        if "000000002" not in path:  # The first part is finished, and so its files are kept.
            return write_map(path, heatmap)
        with open(f"{path}.4711.partial", "wb"):
            pass
        write_map(path.replace("_0.", "_1."), heatmap)  # Whole, of a score that is another now.
        die()

    with monkeypatch.context() as patch:
        patch.setattr(heatmap_rows, "write_map", write_half)
        with pytest.raises(Died):
            run(job, output, **changes)
    run(job, output, **changes)
    folder = tmp_path / "s.jsonl.heatmaps"
    assert {str(p.relative_to(folder)) for p in folder.rglob("*.*")} == named_files(output)
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_map(str(tmp_path / "folder" / "map.png"), np.ones((2, 2)))
    assert not list((tmp_path / "folder").iterdir())


def test_labels_in_a_form_that_cannot_be_read():
    with pytest.raises(ValueError, match="--heatmap_labels is 'a.nb'"):
        selected_labels("a\nb", LABELS)


def test_only_uncertain_images_when_asked_for(job, tmp_path):
    # The whole picture has probabilities of 0.12, its lower half of 0.496.
    changes = {"heatmaps": "maps", "heatmap_margin": 0.01}
    whole, broken, box = run(job, tmp_path / "s.jsonl", threshold=0.5, **changes)
    assert whole["peaks"] == [] and broken["peaks"] is None
    # Their labels are shown although they are not decided.
    assert box["decisions"] == []
    assert [peak["label"] for peak in box["peaks"]] == ["red", "blue"]
    assert len(list((tmp_path / "s.jsonl.heatmaps").rglob("*.png"))) == 2
    changes["heatmap_labels"] = "green"
    rows = run(job, tmp_path / "s.jsonl", threshold=0.5, **changes)
    assert [row["peaks"] for row in rows] == [[], None, []]
    # A decided label of an uncertain image is shown too, one of a certain image is not.
    changes = {"heatmaps": "peaks", "heatmap_margin": 0.01}
    whole, _, box = run(job, tmp_path / "s.jsonl", threshold=0.11, **changes)
    assert [peak["label"] for peak in whole["peaks"]] == ["red", "blue"]
    assert box["decisions"] == ["red", "blue"] and box["peaks"] == []


def test_the_files_of_a_part_reach_their_own_disk_and_no_other(job, tmp_path, monkeypatch):
    def sync():
        raise AssertionError("All disks of the host were flushed.")

    folders = []
    monkeypatch.setattr(os, "sync", sync)
    monkeypatch.setattr(heatmap_rows, "sync_file_system", folders.append)
    run(job, tmp_path / "scores.jsonl", heatmaps="maps")
    assert folders == [f"{tmp_path}/scores.jsonl.parts/heatmaps"]


def test_a_file_system_that_is_not_there_cannot_be_flushed(tmp_path):
    sync_file_system(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        sync_file_system(str(tmp_path / "nowhere"))

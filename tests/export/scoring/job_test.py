"""Scoring jobs from files to rows, with tiny networks."""

import io
import json
import re
import resource
import subprocess
import sys

import numpy as np
import onnx
import pytest
from PIL import Image
from pyarrow import parquet

from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.runtime.providers import ProviderError
from export.scoring.runtime.session import NetworkSession
from tests.export.images.preprocessing_test import header_of_png
from tests.export.onnx_models import description, write_channel_mean_model
from tests.export.scoring.small_jobs import save_colour
from tools.python_imports import REPOSITORY

ROOT = REPOSITORY


def run(model, images, output, **changes):
    paths = {"model": str(model), "images": str(images), "output": str(output)}
    config = ScoringConfig(**paths, overwrite=True, **changes)
    report = score(config)
    rows = []
    if str(output).endswith(".parquet"):
        rows = parquet.read_table(output).to_pylist()
    return report, rows


def sigmoid(channel):
    return 1 / (1 + np.exp(-(channel - 128) / 32))


def test_probabilities_and_decisions(model, folder, tmp_path):
    save_colour(folder / "a.png", 200, 10, 128)
    save_colour(folder / "b.png", 129, 128, 127)
    report, rows = run(model, folder, tmp_path / "scores.parquet")
    assert dict(report.counts) == {"ok": 2}
    assert [row["image"] for row in rows] == [str(folder / "a.png"), str(folder / "b.png")]
    written = [[row["red"], row["green"], row["blue"]] for row in rows]
    expected = sigmoid(np.array([[200, 10, 128], [129, 128, 127]]))
    np.testing.assert_allclose(written, expected, atol=1e-6)
    # 128 gives a probability of exactly 0.5, which is not above the threshold.
    assert [row["decisions"] for row in rows] == [["red"], ["red"]]


def test_threshold_replaces_those_of_the_model(model, folder, tmp_path):
    save_colour(folder / "a.png", 129, 128, 100)
    _, rows = run(model, folder, tmp_path / "scores.parquet", threshold=0.4)
    assert rows[0]["decisions"] == ["red", "green"]
    _, rows = run(model, folder, tmp_path / "scores.parquet", threshold=0.0)
    assert rows[0]["decisions"] == ["red", "green", "blue"]


def write_bad_inputs(folder):
    """Files by name with the status that each must get."""
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (250, 0, 0)).save(stream, "JPEG")
    (folder / "00_zero_bytes.jpg").write_bytes(b"")
    (folder / "01_text.jpg").write_text("this is no photograph")
    (folder / "02_cut.jpg").write_bytes(stream.getvalue()[:-40])
    save_colour(folder / "03_one_pixel.png", 255, 0, 0, size=(1, 1))
    (folder / "04_huge.png").write_bytes(header_of_png(20000, 20000))
    with open(folder / "04_terabyte.jpg", "wb") as file:
        file.truncate(1 << 40)  # Sparse: it takes no room.
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(folder / "05_16_bit.png")
    (folder / "06_folder.jpg").mkdir()
    (folder / "06_folder.jpg" / "inside.png").symlink_to("nowhere.png")
    Image.new("L", (9, 9), 200).save(folder / "07_grey.jpg")
    Image.new("CMYK", (9, 9), (0, 255, 255, 0)).save(folder / "08_cmyk.jpg")
    (folder / "09_good.jpg").write_bytes(stream.getvalue())
    return {
        "00_zero_bytes.jpg": "unreadable",
        "01_text.jpg": "unreadable",
        "02_cut.jpg": "unreadable",
        "03_one_pixel.png": "ok",
        "04_huge.png": "too_large",
        "04_terabyte.jpg": "too_large",
        "05_16_bit.png": "unsupported",
        "06_folder.jpg/inside.png": "missing",
        "07_grey.jpg": "ok",
        "08_cmyk.jpg": "ok",
        "09_good.jpg": "ok",
    }


@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_every_bad_input_is_a_row_and_moves_no_other(model, folder, tmp_path, batch_size):
    expected = write_bad_inputs(folder)
    output = tmp_path / "scores.parquet"
    report, rows = run(model, folder, output, batch_size=batch_size)
    assert {row["image"]: row["status"] for row in rows} == {
        str(folder / name): status for name, status in expected.items()
    }
    assert [row["image"] for row in rows] == sorted(row["image"] for row in rows)
    for row in rows:
        if row["status"] == "ok":
            assert row["error"] is None
            assert row["decisions"] == (
                ["red", "green", "blue"] if "grey" in row["image"] else ["red"]
            )
        else:
            assert row["error"]
            assert row["red"] is None and row["decisions"] is None
    assert report.errors == sum(status != "ok" for status in expected.values())
    assert report.counts["unreadable"] == 3


def test_a_list_may_name_files_twice_or_not_at_all(model, folder, tmp_path):
    save_colour(folder / "a.png", 250, 0, 0)
    (folder / "list.csv").write_text("image\na.png\ngone.png\na.png\n\n")
    report, rows = run(model, folder / "list.csv", tmp_path / "scores.parquet")
    assert [row["image"] for row in rows] == ["a.png", "gone.png", "a.png"]
    assert [row["status"] for row in rows] == ["ok", "missing", "ok"]
    assert rows[0]["red"] == rows[2]["red"]
    assert str(folder / "gone.png") in rows[1]["error"]
    assert dict(report.counts) == {"ok": 2, "missing": 1}


def test_boxes_score_their_part_of_the_image(model, folder, tmp_path):
    image = Image.new("RGB", (20, 10), (255, 0, 0))
    image.paste((0, 0, 255), (10, 0, 20, 10))
    image.save(folder / "halves.png")
    (folder / "list.csv").write_text(
        "image,x,y,w,h\nhalves.png,0,0,10,10\nhalves.png,10,0,10,10\nhalves.png,0,0,-1,3\n"
    )
    _, rows = run(model, folder / "list.csv", tmp_path / "scores.parquet")
    assert [row["decisions"] for row in rows] == [["red"], ["blue"], None]
    assert rows[2]["status"] == "bad_row"
    assert [row["x"] for row in rows] == [0, 10, 0]


def test_probabilities_do_not_depend_on_the_batch(model, folder, tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (10, 3))
    for number, colour in enumerate(values):
        save_colour(folder / f"{number}.png", *map(int, colour))
    contents = set()
    for batch_size, decoders in ((1, 1), (3, 4), (32, 2)):
        output = tmp_path / "scores.csv"
        run(model, folder, output, batch_size=batch_size, decoders=decoders)
        contents.add(output.read_bytes())
    assert len(contents) == 1


def test_uint8_models_get_rounded_pixels(folder, tmp_path):
    model = write_channel_mean_model(tmp_path / "model.onnx", description(input_dtype="uint8"))
    save_colour(folder / "a.png", 200, 10, 128)
    _, rows = run(model, folder, tmp_path / "scores.parquet")
    np.testing.assert_allclose(rows[0]["red"], sigmoid(200), atol=1e-6)


def test_output_that_is_not_finite_is_no_score(folder, tmp_path):
    model = write_channel_mean_model(tmp_path / "model.onnx", scale=float("nan"))
    save_colour(folder / "a.png", 200, 10, 128)
    _, rows = run(model, folder, tmp_path / "scores.parquet")
    assert rows[0]["status"] == "not_finite"
    assert rows[0]["red"] is None and rows[0]["decisions"] is None


def test_an_onnx_file_without_description_is_refused(model, folder, tmp_path):
    graph = onnx.load(model)
    del graph.metadata_props[:]
    onnx.save(graph, model)
    save_colour(folder / "a.png", 1, 2, 3)
    with pytest.raises(ValueError, match="without the description .* Export the run again"):
        run(model, folder, tmp_path / "scores.parquet")
    assert not (tmp_path / "scores.parquet").exists()


def test_altered_labels_are_refused(model, folder, tmp_path):
    graph = onnx.load(model)
    for entry in graph.metadata_props:
        if entry.key == "label_names":
            entry.value = json.dumps(["green", "red", "blue"])
    onnx.save(graph, model)
    with pytest.raises(ValueError, match="do not fit their hash"):
        NetworkSession(model)


@pytest.mark.parametrize("name", ["format_version", "thresholds", "max_pixels", "versions"])
@pytest.mark.parametrize("value", [None, "{broken"])
def test_an_incomplete_description_is_refused_by_name(model, name, value):
    graph = onnx.load(model)
    entries = {entry.key: entry.value for entry in graph.metadata_props if entry.key != name}
    onnx.helper.set_model_props(graph, entries | ({name: value} if value else {}))
    onnx.save(graph, model)
    with pytest.raises(ValueError, match=f"was altered: {name} is (missing|'{{broken', no JSON)"):
        NetworkSession(model)


@pytest.mark.parametrize(
    ("name", "value"),
    [("input_size", 5), ("thresholds", None), ("label_names", 3), ("format_version", "x")],
)
def test_a_description_of_other_types_is_refused(model, name, value):
    graph = onnx.load(model)
    entries = {entry.key: entry.value for entry in graph.metadata_props}
    onnx.helper.set_model_props(graph, entries | {name: json.dumps(value)})
    onnx.save(graph, model)
    with pytest.raises(ValueError, match=f"was altered: {name} is .* expected a"):
        NetworkSession(model)


def test_properties_of_other_tools_are_no_obstacle(model):
    graph = onnx.load(model)
    graph.metadata_props.add(key="onnx.infer", value="onnxruntime.quant")
    onnx.save(graph, model)
    assert NetworkSession(model).description == description()


@pytest.mark.parametrize("content", [b"", b"no onnx file", b"\x08\x07garbage"])
def test_a_file_that_is_no_onnx_is_refused(folder, tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ValueError, match="ONNX Runtime cannot open|without the description"):
        run(tmp_path / "model.onnx", folder, tmp_path / "scores.csv")


def test_a_newer_operator_set_is_refused(folder, tmp_path):
    model = write_channel_mean_model(tmp_path / "model.onnx", opset=99)
    with pytest.raises(ValueError, match="(?i)opset"):
        run(model, folder, tmp_path / "scores.csv")


def test_missing_things_are_named(model, folder, tmp_path):
    with pytest.raises(ValueError, match="No model at .*nothing.onnx"):
        run(tmp_path / "nothing.onnx", folder, tmp_path / "scores.csv")
    with pytest.raises(ValueError, match="holds no images"):
        run(model, folder, tmp_path / "scores.csv")
    with pytest.raises(ValueError, match="Missing: --images, --output"):
        ScoringConfig(model="model.onnx")
    with pytest.raises(ValueError, match="auto, cuda, tensorrt, cpu"):
        ScoringConfig(model="m", images="i", output="o", providers="tpu")


def test_cuda_on_a_host_without_gpu_is_an_error(model, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    save_colour(folder / "a.png", 1, 2, 3)
    with pytest.raises(ProviderError, match="No NVIDIA GPU is visible"):
        run(model, folder, tmp_path / "scores.csv", providers="cuda")


def score_program(*arguments, **options):
    command = [sys.executable, str(ROOT / "score.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_program_counts_on_its_last_line_and_strict_sets_the_exit_code(model, folder, tmp_path):
    save_colour(folder / "a.png", 250, 0, 0)
    (folder / "b.jpg").write_text("no image")
    output = tmp_path / "scores.csv"
    flags = [f"--model={model}", f"--images={folder}", f"--output={output}"]
    result = score_program(*flags)
    assert result.returncode == 0, result.stderr
    last = result.stdout.splitlines()[-1]
    assert last.startswith("2 images in ") and last.endswith("ok: 1, unreadable: 1; errors: 1")
    assert re.search(r"2/2 images \(100 %\), .* images/s, 1 errors", result.stderr)
    output.unlink()
    assert score_program(*flags, "--strict").returncode == 1
    assert len(output.read_text().splitlines()) == 3


def test_one_image_needs_little_time_to_start(model, folder, tmp_path):
    save_colour(folder / "a.png", 250, 0, 0)
    flags = [f"--model={model}", f"--images={folder}", "--overwrite"]
    flags += [f"--output={tmp_path}/scores.parquet"]
    seconds = []
    while len(seconds) < 3 and min(seconds, default=2.0) >= 1.5:  # Others may fill the caches.
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert score_program(*flags).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Of the processor, which other programs on this machine change little.
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 1.5


def test_program_ends_with_one_line_for_a_users_error(model, tmp_path):
    flags = [f"--model={model}", "--images=nothing", f"--output={tmp_path}/scores.csv"]
    result = score_program(*flags)
    assert result.returncode == 3
    assert "No file, folder or glob 'nothing'" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet", "scores.jsonl"])
def test_a_full_disk_leaves_the_older_file_whole_and_a_job_to_go_on(model, folder, tmp_path, name):
    save_colour(folder / "a.png", 250, 0, 0)
    (folder / "list.txt").write_text("".join(f"a.png\nmissing_{i}.png\n" for i in range(200)))
    output = tmp_path / name
    output.write_text("older scores")
    flags = [f"--model={model}", f"--images={folder / 'list.txt'}", f"--output={output}"]
    flags += ["--overwrite"]
    result = score_program(
        *flags, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    )
    assert result.returncode == 3
    assert "File too large" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr and "Exception ignored" not in result.stderr
    assert output.read_text() == "older scores"
    parts = f"{name}.parts"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "photos", name, parts]
    shard = tmp_path / parts / "shard-1-of-1"
    assert sorted(path.name for path in shard.iterdir()) == ["job.json", "lock"]
    assert score_program(*flags).returncode == 0
    assert output.read_bytes() != b"older scores" and not (tmp_path / parts).exists()


def test_scoring_imports_neither_tensorflow_nor_the_library(model, folder, tmp_path):
    save_colour(folder / "a.png", 250, 0, 0)
    program = (
        "import sys; from export.scoring.config import ScoringConfig;"
        "from export.scoring.job import score;"
        "import score as program;"
        f"score(ScoringConfig(model={model!r}, images={str(folder)!r},"
        f" output={str(tmp_path / 'scores.csv')!r}));"
        "print([n for n in ('tensorflow', 'keras', 'vac_tf', 'onnx', 'pyarrow', 'scipy')"
        " if n in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "name, value",
    [
        ("gpu_memory_mb", -1),
        ("memory_limit_mb", -1),
        ("batch_size", 1_000_000_000),
        ("threshold", float("-inf")),
        ("ray_cpus_per_actor", float("inf")),
    ],
)
def test_senseless_numbers_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name} must .* got {value}"):
        ScoringConfig(model="m", images="i", output="o.csv", **{name: value})

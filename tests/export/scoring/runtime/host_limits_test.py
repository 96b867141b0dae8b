"""What a scoring job takes of its host: cores and memory."""

import io
import threading
import time

import onnxruntime
import pytest
from pyarrow import parquet

from export.images import preprocessing
from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.sources import image_file
from tests.export.scoring.small_jobs import save_colour


def run(model, images, output, **changes):
    """The rows of a job."""
    score(ScoringConfig(model=model, images=str(images), output=str(output), **changes))
    return parquet.read_table(output).to_pylist()


def hide_files(monkeypatch, contents):
    """Lets this process see the files of another host under /proc/self and /sys."""
    real_open = open

    def opened(path, *arguments, **options):
        if str(path) in contents:
            return io.StringIO(contents[str(path)])
        if str(path).startswith(("/proc/self/cgroup", "/sys/")):
            raise FileNotFoundError(path)
        return real_open(path, *arguments, **options)

    monkeypatch.setattr("builtins.open", opened)


def test_one_decoder_per_core_unless_a_number_is_given(monkeypatch):
    values = {"model": "m", "images": "i", "output": "o.csv"}
    monkeypatch.setattr("os.cpu_count", lambda: 96)
    hide_files(monkeypatch, {})
    for cores, expected in ((1, 1), (4, 4), (64, 64), (96, 64)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert ScoringConfig(**values).decoder_count == expected
        assert ScoringConfig(**values, decoders=24).decoder_count == 24
    with pytest.raises(ValueError, match="decoders must be at least 0, got -1"):
        ScoringConfig(**values, decoders=-1)


@pytest.mark.parametrize(
    ("own", "above", "expected"),
    [
        ("max 100000", "max 100000", 8),
        ("150000 100000", "max 100000", 2),  # One and a half cores keep two threads busy.
        ("max 100000", "300000 100000", 3),
        ("50000 100000", "300000 100000", 1),
        ("900000 100000", None, 8),
    ],
)
def test_the_quota_of_a_container_limits_the_threads(monkeypatch, own, above, expected):
    monkeypatch.setattr("os.cpu_count", lambda: 96)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    contents = {
        "/proc/self/cgroup": "4:memory:/other\n0::/jobs/mine\n",
        "/sys/fs/cgroup/jobs/mine/cpu.max": f"{own}\n",
    }
    if above:
        contents["/sys/fs/cgroup/jobs/cpu.max"] = f"{above}\n"
    hide_files(monkeypatch, contents)
    config = ScoringConfig(model="m", images="i", output="o.csv")
    assert config.decoder_count == expected


def test_threads_of_the_network(model, folder, tmp_path, monkeypatch):
    save_colour(folder / "a.png", 1, 2, 3)
    seen = []

    class Session(onnxruntime.InferenceSession):
        def __init__(self, path, options, *arguments, **more):
            seen.append(options.intra_op_num_threads)
            super().__init__(path, options, *arguments, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    run(model, folder, tmp_path / "a.parquet", threads=3)
    # Two cores with two threads each: ONNX Runtime is fastest with one thread per core.
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 4, 5})
    siblings = {0: "0,4", 1: "1,5", 4: "0,4", 5: "1,5"}
    place = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    hide_files(monkeypatch, {place.format(core): text for core, text in siblings.items()})
    run(model, folder, tmp_path / "b.parquet")
    assert seen == [3, 2]
    with pytest.raises(ValueError, match="threads must be at least 0, got -1"):
        run(model, folder, tmp_path / "c.parquet", threads=-1)


def test_an_image_out_of_memory_is_a_row(model, folder, tmp_path, monkeypatch):
    for name in "abc":
        save_colour(folder / f"{name}.png", 1, 2, 3, size=(ord(name), 7))
    fitted = preprocessing.fit

    def fit(pixels, *arguments):
        if pixels.shape[1] == ord("b"):
            raise MemoryError
        return fitted(pixels, *arguments)

    monkeypatch.setattr(image_file, "fit", fit)
    rows = run(model, folder, tmp_path / "scores.parquet")
    assert [row["status"] for row in rows] == ["ok", "out_of_memory", "ok"]
    assert "--decoding_memory_mb" in rows[1]["error"]


def test_images_wait_for_the_memory_that_decoding_takes(model, folder, tmp_path, monkeypatch):
    for number in range(12):
        save_colour(folder / f"{number:02}.png", 1, 2, 3, size=(200, 200))
    save_colour(folder / "12.png", 1, 2, 3, size=(2000, 300))
    # A box is memory too, also where it has no pixels of the image.
    lines = [f"{number:02}.png,,,," for number in range(13)] + ["00.png,-600,-1,1000,900"]
    (folder / "list.csv").write_text("image,x,y,w,h\n" + "\n".join(lines))
    lock, now, most = threading.Lock(), 0, 0
    fitted = preprocessing.fit

    def fit(*arguments):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        return fitted(*arguments)

    monkeypatch.setattr(image_file, "fit", fit)
    changes = {"decoders": 8, "decoding_memory_mb": 4}
    rows = run(model, folder / "list.csv", tmp_path / "scores.parquet", **changes)
    assert [row["status"] for row in rows] == ["ok"] * 12 + ["out_of_memory"] * 2
    assert "more than --decoding_memory_mb" in rows[12]["error"]
    assert 2 <= most <= 4

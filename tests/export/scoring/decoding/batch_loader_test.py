"""Batches come in order, a bounded number ahead, in memory that stays while it is needed."""

import collections
import dataclasses
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from export.bundle.preprocessing import Preprocessing
from export.scoring.config import ScoringConfig
from export.scoring.decoding import batch_loader
from export.scoring.decoding.batch_loader import NOT_SCORED, BatchLoader, open_loader, ring_batches
from export.scoring.decoding.decoder_processes import DecoderProcesses
from export.scoring.decoding.decoder_threads import DecoderThreads
from export.scoring.decoding.loading import LoadingSettings
from export.scoring.job import score
from export.scoring.sources.input import ScoringInput
from tests.export.onnx_models import description, write_channel_mean_model
from tests.export.scoring.decoding.stand_ins import fail, load_number

SLOTS, BATCHES = 3, 4


def threads(load, kept=2):
    settings = LoadingSettings(Preprocessing(1, 1), load=load)
    shape = (kept + BATCHES - 2, SLOTS, 1, 1, 3)
    return BatchLoader(DecoderThreads(4, settings, shape, "float32", 1000), kept)


def batches(values, taken=None):
    for first in range(0, len(values), SLOTS):
        if taken is not None:
            taken.append(first)
        yield [
            (slot, ScoringInput(str(value), ""))
            for slot, value in enumerate(values[first : first + SLOTS])
        ]


def test_batches_come_in_order_and_a_bounded_number_ahead():
    values, taken, found = list(range(100)), [], []
    for number, batch in enumerate(threads(load_number).load(batches(values, taken))):
        found += batch.images[: len(batch.inputs), 0, 0, 0].tolist()
        assert len(taken) <= number + BATCHES
    assert found == values


@pytest.mark.parametrize("kept", [2, 4, 6])
def test_images_stay_until_so_many_others_are_asked_for(kept):
    before = collections.deque(maxlen=kept)
    for batch in threads(load_number, kept).load(batches(range(1, 61))):
        before.append(batch)
        for older in before:
            values = [int(loaded.scoring_input.image) for loaded in older.inputs]
            assert older.images[:, 0, 0, 0].tolist() == values


def test_slots_without_an_image_are_black():
    loader = threads(load_number)
    loader.images[:] = 9
    (batch,) = loader.load([[(1, ScoringInput("5", ""))]])
    assert batch.images[:, 0, 0, 0].tolist() == [0, 5, 0]
    assert batch.inputs[0] is NOT_SCORED and batch.inputs[1].view.corners == (0, 0, 5, 1)
    assert not batch.is_empty
    loader.images[:] = 9
    (batch,) = loader.load([[(0, ScoringInput("-1", ""))]])
    assert not batch.images.any() and batch.is_empty
    assert [loaded.error.status for loaded in batch.inputs] == ["missing"]


def test_faults_are_handed_on():
    with pytest.raises(KeyError, match="input 0"):
        list(threads(fail).load(batches(range(9))))


@pytest.mark.parametrize("processes, slots", [(1, 1), (2, 32), (16, 32), (32, 8), (64, 1024)])
def test_the_ring_holds_work_for_all_processes_beside_the_networks_batches(processes, slots):
    ring = ring_batches(processes, slots, 8)
    assert (ring - 3) * slots >= 2 * processes * min(8, slots) > (ring - 4) * slots
    assert ring_batches(processes, slots, 8, kept=6) == ring + 4


@pytest.fixture
def job(tmp_path):
    """Flags of a job with inputs of many kinds, some of which cannot be loaded."""
    generator = np.random.default_rng(0)
    upright = Image.fromarray(generator.integers(0, 256, (40, 60, 3), "uint8"))
    exif = Image.Exif()
    exif[0x0112] = 6
    lines = ["image,x,y,w,h"]
    for number in range(20):
        pixels = generator.integers(0, 256, (9 + number, 7, 3), "uint8")
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        lines += [f"{number}.png,,,,", f"gone {number}.png,,,,", f"{number}.png,1,2,5,4"]
    upright.save(tmp_path / "turned.jpg", exif=exif, quality=90)
    (tmp_path / "broken.jpg").write_bytes((tmp_path / "turned.jpg").read_bytes()[:900])
    (tmp_path / "large.png").write_bytes(b"\x89PNG" + bytes(2**20))
    wide = Image.new("RGB", (900, 800))
    wide.save(tmp_path / "wide.png")
    lines += [f"{name},,,," for name in ("turned.jpg", "broken.jpg", "large.png", "wide.png")]
    lines += ["0.png,0,0,-1,2", "turned.jpg,30,5,8,8"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    with tarfile.open(tmp_path / "images.tar", "w") as tar:
        for number in range(20):
            tar.add(tmp_path / f"{number}.png", f"{number}.png")
        broken = tarfile.TarInfo("broken.png")
        broken.size = 50
        tar.addfile(broken, io.BytesIO(bytes(50)))
    facts = description()
    upright_model = dataclasses.replace(
        facts, preprocessing=dataclasses.replace(facts.preprocessing, apply_exif_orientation=True)
    )
    model = write_channel_mean_model(tmp_path / "model.onnx", upright_model)
    return {"model": model, "max_file_mb": 1, "decoding_memory_mb": 4, "batch_size": 8}


@pytest.fixture
def started(monkeypatch):
    """Numbers of decoder processes of the jobs, which are started for any number of images."""
    monkeypatch.setattr(batch_loader, "FEWEST_FOR_PROCESSES", 1)
    original, counts = DecoderProcesses.__init__, []

    def init(self, count, *arguments):
        counts.append(count)
        original(self, count, *arguments)

    monkeypatch.setattr(DecoderProcesses, "__init__", init)
    return counts


@pytest.mark.parametrize("images", ["list.csv", "images.tar"])
def test_the_same_bytes_from_threads_and_any_number_of_processes(job, started, tmp_path, images):
    contents = set()
    for decoders in (1, 2, 4):
        output = tmp_path / f"{decoders}.jsonl"
        flags = job | {"images": str(tmp_path / images), "output": str(output)}
        score(ScoringConfig(**flags, decoders=decoders, heatmaps="peaks", max_error_share=1.0))
        contents.add(output.read_bytes())
    assert len(contents) == 1 and started == [2, 4]
    text = contents.pop().decode()
    if images == "list.csv":
        for status in ("missing", "unreadable", "bad_row", "too_large", "out_of_memory"):
            assert f'"status": "{status}"' in text


def test_overlays_from_processes(job, started, tmp_path):
    files = []
    for decoders in (1, 2):
        output = tmp_path / f"{decoders}.csv"
        flags = job | {"images": str(tmp_path / "images.tar"), "output": str(output)}
        score(ScoringConfig(**flags, decoders=decoders, heatmaps="overlays"))
        folder = tmp_path / f"{decoders}.csv.heatmaps"
        files.append({path.name: path.read_bytes() for path in folder.rglob("*.png")})
    assert started == [2] and files[0] == files[1] != {}


def open_decoders(model, rows, decoders):
    config = ScoringConfig(model=model, images="i", output="o.csv", decoders=decoders, batch_size=2)
    with open_loader(config, Preprocessing(2, 2), rows) as loader:
        return type(loader.decoders)


def test_threads_for_few_images_and_for_one_decoder(job):
    fewest = batch_loader.FEWEST_FOR_PROCESSES
    assert open_decoders(job["model"], fewest - 1, 2) is DecoderThreads
    assert open_decoders(job["model"], fewest, 1) is DecoderThreads
    assert open_decoders(job["model"], fewest, 2) is DecoderProcesses


def test_threads_where_shared_memory_cannot_be_had(job, started, tmp_path, monkeypatch, caplog):
    def refuse(name, size):
        raise OSError(28, f"{size / 2**20:.0f} MiB of shared memory cannot be had: No space left")

    monkeypatch.setattr("export.scoring.decoding.decoder_processes.make_memory", refuse)
    flags = job | {"images": str(tmp_path / "images.tar"), "output": str(tmp_path / "s.csv")}
    report = score(ScoringConfig(**flags, decoders=2))
    assert report.counts["ok"] == 20
    assert "Images are decoded by threads of one process" in caplog.text
    assert "No space left" in caplog.text

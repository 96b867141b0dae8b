"""The same images in the same order give the same network, in whatever files they lie."""

import json

import numpy as np
import pyarrow
import pytest
from PIL import Image

from tests.export.encoded_images import encode
from tests.vac_tf.datasets.readers.hugging_face.saved import IMAGE, write_split
from tests.vac_tf.datasets.readers.shards.tars import write_tar
from vac_tf.configs.classification import TrainConfig
from vac_tf.inputs.pipeline import TrainingBatches
from vac_tf.runs.folder import RunFolder
from vac_tf.training.run import run
from vac_tf.training.run_data import read_run_data

CLASSES = ("blue", "green", "red")
COUNTS = {"train": 24, "val": 6}
FORMATS = ("table", "folder", "webdataset", "hf")
SCHEMA = pyarrow.schema([("image", IMAGE), ("kind", pyarrow.int64())])


def photographs():
    """Split, class and file name of every image, and its bytes; by class, as folders are read."""
    random = np.random.default_rng(0)
    for split, count in COUNTS.items():
        for number in range(count):
            place = number * len(CLASSES) // count
            pixels = random.integers(0, 120, (40, 32, 3)).astype(np.uint8)
            pixels[..., 2 - place] += 100
            yield split, CLASSES[place], f"{number:03}.png", encode(Image.fromarray(pixels), "PNG")


@pytest.fixture
def configs(tmp_path, tiny_backbone):
    """A run a format, alike in everything else; of two shards a split."""
    for name in FORMATS:
        (tmp_path / name).mkdir()
    rows, members, saved = {}, {}, {}
    for split, kind, name, data in photographs():
        file = tmp_path / "folder" / split / kind / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        lines = rows.setdefault(split, [f"image,{','.join(CLASSES)}"])
        lines.append(",".join([str(file), *(str(int(kind == each)) for each in CLASSES)]))
        shard = f"{split}-{int(len(lines) > COUNTS[split] // 2)}.tar"
        parts = members.setdefault(shard, [])
        saved.setdefault(split, []).append({"image": (data, name), "kind": CLASSES.index(kind)})
        parts += [(name, data), (f"{name[:-4]}.cls", kind.encode())]
    for split, lines in rows.items():
        (tmp_path / "table" / f"{split}.csv").write_text("\n".join(lines) + "\n")
    for shard, parts in members.items():
        write_tar(tmp_path / "webdataset" / shard, parts)
    features = {"image": {"_type": "Image"}}
    features["kind"] = {"names": list(CLASSES), "_type": "ClassLabel"}
    for split, images in saved.items():
        write_split(tmp_path / "hf" / split, images, features, SCHEMA)
    (tmp_path / "hf" / "dataset_dict.json").write_text(json.dumps({"splits": list(saved)}))
    settings = {"backbone": tiny_backbone, "image_size": 32, "batch_size": 5, "epochs": 2}
    settings |= {"transforms": "hflip"}
    return {
        name: TrainConfig(
            run_dir=str(tmp_path / f"run_{name}"),
            dataset=name,
            data_dir=str(tmp_path / name),
            **settings,
        )
        for name in FORMATS
    }


def batches(config, epoch, **start):
    data = read_run_data(config)
    assert isinstance(data.training, TrainingBatches)
    return [[np.asarray(part) for part in batch] for batch in data.training.epoch(epoch, **start)]


def test_batches_are_the_same_in_every_epoch_and_from_any_step(configs):
    for epoch, start in ((0, {}), (3, {"start_step": 2})):
        expected = batches(configs["table"], epoch, **start)
        for name in ("webdataset", "hf"):
            found = batches(configs[name], epoch, **start)
            assert len(found) == len(expected)
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_equal(one, other)


@pytest.mark.slow
def test_runs_end_with_the_same_network(configs):
    states = []
    for config in configs.values():
        run(config)
        with np.load(RunFolder(config.run_dir).state_file) as arrays:
            states.append({name: arrays[name] for name in arrays.files if name != "progress"})
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        for name, value in state.items():
            np.testing.assert_array_equal(value, states[0][name], err_msg=name)

"""A data set as Hugging Face's `datasets` saves it, written without that package."""

import json

import pyarrow

CLASSES = ("cat", "dog", "eel")
FEATURES = {
    "image": {"_type": "Image"},
    "labels": {"feature": {"names": list(CLASSES), "_type": "ClassLabel"}, "_type": "List"},
    "indoors": {"dtype": "bool", "_type": "Value"},
    "person": {"dtype": "int64", "_type": "Value"},
}
IMAGE = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
ROWS = [
    {"image": (b"first", "a.jpg"), "labels": [0, 2], "indoors": True, "person": 4},
    {"image": (b"second \0\0", None), "labels": [], "indoors": None, "person": 4},
    {"image": (b"3", "sub/c.png"), "labels": None, "indoors": False, "person": 5},
]
SCHEMA = pyarrow.schema(
    [
        ("image", IMAGE),
        ("labels", pyarrow.list_(pyarrow.int64())),
        ("indoors", pyarrow.bool_()),
        ("person", pyarrow.int64()),
    ]
)


def write_arrow(path, rows, schema=SCHEMA, options=None):
    """Rows as dicts, an image being (bytes, path); a batch of two rows, then one a row."""
    rows = [{**row, "image": _image(row["image"])} for row in rows]
    with pyarrow.ipc.new_stream(str(path), schema, options=options) as stream:
        for part in (rows[:2], *([row] for row in rows[2:])):
            stream.write_batch(pyarrow.RecordBatch.from_pylist(part, schema))


def _image(image):
    return image and {"bytes": image[0], "path": image[1]}


def write_split(folder, rows=None, features=None, schema=SCHEMA, files=2, options=None):
    """One split: the last row in a file of its own, as of several shards."""
    rows = ROWS if rows is None else rows
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-{number:05}-of-{files:05}.arrow" for number in range(files)]
    parts = [rows[:-1], rows[-1:]] if files == 2 else [rows]
    for name, part in zip(names, parts, strict=True):
        write_arrow(folder / name, part, schema, options)
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    info = {"features": FEATURES if features is None else features, "license": ""}
    (folder / "dataset_info.json").write_text(json.dumps(info))


def write(folder, **changes):
    """Splits train and test, as a DatasetDict; `changes` are those of train."""
    write_split(folder / "train", **changes)
    write_split(folder / "test", ROWS[:1], files=1)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))

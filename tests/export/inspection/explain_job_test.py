"""explain.py on a network whose heatmaps are the image's own channels, so that all is known."""

import json

import numpy as np
import pytest
from PIL import Image

from export.inspection.explain_job import explain_images
from tests.export.onnx_models import description, write_channel_mean_model
from vac_tf.configs.explanation import ExplanationConfig

ODD_LABELS = ('<b>"red"</b>', "../עברית/'x", "🐶 dog, brown")


def noise(path, size=(8, 8), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def explained(tmp_path, **changes):
    """What was written, for the images in `photos`."""
    model = tmp_path / "model.onnx"
    if not model.exists():
        write_channel_mean_model(model)
    values = {"model": str(model), "images": str(tmp_path / "photos")}
    values |= {"transforms": "", "sheet_columns": 0}  # What a test looks at it asks for.
    output = tmp_path / "out"
    explain_images(ExplanationConfig(**values | {"output": str(output)} | changes))
    return output, json.loads((output / "explanation.json").read_text())


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def test_heatmaps_are_those_of_the_model_and_come_back_from_every_view(tmp_path, photos):
    pixels = noise(photos / "a.png").astype(np.float32)
    transforms = "hflip,rotate,translate,scale"
    output, contents = explained(tmp_path, labels="all", transforms=transforms)
    (image,) = contents["images"]
    assert [label["label"] for label in image["labels"]] == ["red", "green", "blue"]
    for channel, label in enumerate(image["labels"]):
        heatmap = np.load(output / label["files"]["heatmap"])
        np.testing.assert_allclose(heatmap, pixels[..., channel], atol=1e-3)
        mirrored = np.load(output / label["files"]["heatmap_hflip"])
        np.testing.assert_array_equal(mirrored, heatmap[:, ::-1])
        mean = pixels[..., channel].mean()
        probability = 1 / (1 + np.exp(-(mean - 128) / 32))
        assert label["probability"] == pytest.approx(probability, abs=1e-5)
        assert label["decided"] == (probability > 0.5)
        for kind in ("hflip", "rotate", "translate"):
            assert label["views"][kind]["inconsistency"] == pytest.approx(0, abs=1e-9)
        assert label["views"]["scale"]["inconsistency"] > 0.01  # Noise does not survive scaling.
        for path in label["files"].values():
            assert (output / path).stat().st_size
    assert "on black" in contents["views"]["scale"]


def test_an_unreadable_image_is_listed_with_its_reason_and_the_others_live(tmp_path, photos):
    for number in range(3):
        noise(photos / f"{number}.png", seed=number)
    (photos / "1.png").write_bytes(b"no image")
    output, contents = explained(tmp_path, batch_size=2)
    assert [image["status"] for image in contents["images"]] == ["ok", "unreadable", "ok"]
    assert [image["title"] for image in contents["images"]] == ["0.png", "1.png", "2.png"]
    page = (output / "index.html").read_text()
    assert "Could not be read" in page and contents["images"][1]["error"].split("'")[0] in page
    # Rows behind an unreadable image are still their own.
    own = np.load(output / contents["images"][2]["labels"][0]["files"]["heatmap"])
    pixels = np.asarray(Image.open(photos / "2.png"), np.float32)
    assert min(np.abs(own - pixels[..., channel]).max() for channel in range(3)) < 1e-3


def test_only_unreadable_images_are_an_error_and_write_nothing(tmp_path, photos):
    (photos / "a.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="None of 1 images can be read.*a.png"):
        explained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "photos"]


def test_odd_names_are_shown_escaped_and_never_become_paths(tmp_path, photos):
    write_channel_mean_model(tmp_path / "model.onnx", description(ODD_LABELS))
    for name in ('"><script>alert(1)</script>.png'.replace("/", "∕"), "שלום 🐕 'x'.png"):
        noise(photos / name)
    output, contents = explained(tmp_path, labels="all")
    page = (output / "index.html").read_text()
    assert "<script>alert" not in page and "<b>" not in page
    assert "&lt;b&gt;" in page and "🐶 dog, brown" in page and "שלום 🐕" in page
    written = {path.relative_to(output).as_posix() for path in output.rglob("*")}
    assert all(path.isascii() and ".." not in path and " " not in path for path in written)
    names = [label["label"] for label in contents["images"][0]["labels"]]
    assert names == list(ODD_LABELS)
    for image in contents["images"]:
        for label in image["labels"]:
            assert set(label["files"].values()) <= written


def test_labels_by_name_and_what_is_drawn_where_nothing_is_decided(tmp_path, photos):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(photos / "black.png")
    _, contents = explained(tmp_path, labels="blue, red", transforms="hflip")
    labels = contents["images"][0]["labels"]
    assert [label["label"] for label in labels] == ["blue", "red"]
    # A constant heatmap has no unit for its inconsistency.
    assert labels[0]["views"]["hflip"]["inconsistency"] is None
    _, contents = explained(tmp_path)
    (only,) = contents["images"][0]["labels"]
    assert not only["decided"]
    with pytest.raises(ValueError, match="no label 'grey'.*red, green, blue"):
        explained(tmp_path, labels="red,grey")


def test_a_foreign_folder_is_refused_and_an_own_one_replaced(tmp_path, photos):
    noise(photos / "a.png")
    with pytest.raises(ValueError, match="exists and is no folder of explain.py"):
        explained(tmp_path, output=str(photos))
    assert [path.name for path in photos.iterdir()] == ["a.png"]
    output, _ = explained(tmp_path, sheet_columns=2)
    assert (output / "sheets").exists()
    explained(tmp_path)
    assert not (output / "sheets").exists()
    with pytest.raises(ValueError, match="no label"):
        explained(tmp_path, labels="grey")
    assert (output / "index.html").exists()

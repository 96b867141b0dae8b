"""A run and its bundle called with images: both give the same, and what the programs give."""

import csv
import functools
import http.server
import inspect
import io
import threading

import numpy as np
import pytest
from PIL import Image

import vac_tf
from export import scoring
from export.bundle.preprocessing import Preprocessing
from export.scoring.config import ScoringConfig
from export.scoring.inference import image_input as export_input
from export.scoring.inference import result as export_result
from export.scoring.job import score
from tests.export.building.tiny_run import LABELS, SIZE
from tests.export.encoded_images import encode, good_images, photo, photograph
from vac_tf.figures.heatmap_overlay import overlay
from vac_tf.inference import image_input, result
from vac_tf.inputs.image_source import ImageSettings

WINGS = ("run", "bundle")


@pytest.fixture(scope="module")
def models(run, bundle):
    return {"run": vac_tf.load(run.path), "bundle": scoring.load(bundle, providers="cpu")}


@pytest.fixture(params=WINGS)
def model(models, request):
    return models[request.param]


@pytest.fixture
def photo_file(data_dir):
    return data_dir / "val_0.jpg"


# ---- The same from both


@pytest.mark.parametrize("name", ["Result", "ByLabel", "unknown_label"])
def test_what_both_write_alike_is_alike(name):
    sources = [inspect.getsource(getattr(wing, name)) for wing in (result, export_result)]
    assert sources[0] == sources[1]


def test_both_give_the_rows_of_the_scorer(models, bundle, data_dir, tmp_path):
    output = tmp_path / "scores.csv"
    paths = {"model": str(bundle / "model.onnx"), "images": str(data_dir), "output": str(output)}
    score(ScoringConfig(**paths, providers="cpu"))
    with open(output, newline="") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    files = sorted(data_dir.glob("*.*g")) + sorted(data_dir.glob("*.bmp"))
    by_wing = [models[wing](files) for wing in WINGS]
    assert len(files) == len(rows) == 22
    assert sum(len(each.labels) for each in by_wing[0]) > 5
    for of_run, of_bundle in zip(*by_wing, strict=True):
        row = rows[of_run.name]
        assert sorted(of_run.labels) == sorted(filter(None, row["decisions"].split("|")))
        assert of_run.labels == of_bundle.labels
        assert of_run.thresholds == of_bundle.thresholds
        for label in LABELS:
            expected = pytest.approx(float(row[label]), abs=1e-5)
            assert of_run.probabilities[label] == expected
            assert of_bundle.probabilities[label] == expected
            assert of_run.logits[label] == pytest.approx(of_bundle.logits[label], abs=1e-4)
        np.testing.assert_allclose(of_run.heatmaps, of_bundle.heatmaps, atol=1e-4)
        np.testing.assert_array_equal(of_run.image, of_bundle.image)


def test_both_draw_the_overlay_of_the_figures(models, photo_file):
    for wing, most in (("run", 0), ("bundle", 1)):
        found = models[wing](photo_file)
        heatmap = found.heatmap("dog")
        expected = overlay(np.asarray(Image.open(photo_file)), heatmap, -1.0, 2.0, 0.4)
        drawn = found.overlay("dog", low=-1.0, high=2.0, opacity=0.4)
        assert drawn.dtype == np.uint8
        # A heatmap value on the border of two colours may take either.
        differs = np.abs(drawn.astype(int) - expected) > most
        assert differs.mean() < 1e-3
        whole = overlay(found.image, heatmap, heatmap.min(), heatmap.max())
        assert np.mean(np.abs(found.overlay("dog").astype(int) - whole) > most) < 1e-3


# ---- What an image can be


@pytest.mark.parametrize("kind", ["png", "png_alpha", "png_palette", "jpeg", "jpeg_grey", "bmp"])
def test_an_image_is_the_same_in_every_form(model, kind, tmp_path):
    contents = good_images()[kind]
    (tmp_path / "a.img").write_bytes(contents)
    picture = Image.open(io.BytesIO(contents))
    pixels = np.asarray(picture.convert("RGB"))
    forms = [tmp_path / "a.img", str(tmp_path / "a.img"), contents, bytearray(contents), picture]
    forms += [pixels, pixels.astype(np.float64), pixels.astype(int), pixels[None][0]]
    results = model(forms)
    expected = model(tmp_path / "a.img")
    for found in results:
        assert found.error is None
        assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
        np.testing.assert_array_equal(found.image, pixels)
    assert [found.name for found in results[1:3]] == [str(tmp_path / "a.img"), "images[2]"]


def test_floats_between_grey_levels_are_not_rounded(models):
    image = photo().astype(np.float32) * 0.937
    found = [models[wing](image).logits for wing in WINGS]
    assert found[0] == pytest.approx(found[1], abs=1e-4)
    assert found[0] != pytest.approx(models["run"](np.rint(image)).logits, abs=1e-4)


def test_a_batch_is_a_list_and_an_iterator_is_read_as_it_is_asked(model):
    images = np.stack([photo(40, 30, seed=seed) for seed in range(7)])
    one_by_one = [model(image).probabilities for image in images]
    asked = []

    def ask():
        for number, image in enumerate(images):
            asked.append(number)
            yield image

    results = model(ask(), batch_size=2)
    assert asked == []
    first = next(results)
    assert len(asked) <= 4  # A batch, and one ahead of it.
    for found in (model(images), model(list(images), batch_size=3), [first, *results]):
        assert len(found) == 7
        for each, expected in zip(found, one_by_one, strict=True):
            assert each.probabilities == pytest.approx(expected, abs=1e-6)
    assert model([]) == []


def test_a_column_of_paths_is_a_list(model, photo_file):
    paths = [str(photo_file), "nothing.jpg"]
    for column in (tuple(paths), np.array(paths), np.array(paths, object)):
        assert [found.error is None for found in model(column)] == [True, False]
    assert model(memoryview(photo_file.read_bytes())).error is None


def test_an_image_is_read_by_its_url(model, photo_file):
    handler = functools.partial(_Quiet, directory=photo_file.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        found = model(f"{address}/{photo_file.name}")
        with pytest.raises(
            ValueError, match=f"{address}/nothing.jpg cannot be used: .*(404|No such)"
        ):
            model(f"{address}/nothing.jpg")
        server.shutdown()
    assert found.name == f"{address}/{photo_file.name}"
    assert found.probabilities == model(photo_file).probabilities
    assert found.overlay().shape == model(photo_file).image.shape  # Without the server.


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("code", [1, 3, 6])
def test_images_are_turned_where_the_model_wants_it(code):
    exif = Image.Exif()
    exif[0x0112] = code
    contents = encode(photograph(channels=3), "JPEG", exif=exif)
    settings = ImageSettings(SIZE, apply_exif_orientation=True)
    preprocessing = Preprocessing(SIZE, SIZE, apply_exif_orientation=True)
    found = []
    for given in (contents, Image.open(io.BytesIO(contents))):
        found.append(image_input.ImageInput.of(given, settings).pixels())
        found.append(export_input.ImageInput.of(given, preprocessing).pixels())
    assert found[0].shape == ((61, 47, 3) if code == 6 else (47, 61, 3))
    for pixels in found[1:]:
        np.testing.assert_array_equal(pixels, found[0])


# ---- What is none

BAD = {
    "nothing.jpg": "nothing.jpg",
    "a\0b.jpg": "a\0b.jpg",
    b"": "the image",
    b"these are words": "[Nn]ot a.* image",
    good_images()["jpeg"][:200]: "the image",
}
BAD_ARRAYS = {
    "wrong type": (5, "got int"),
    "grey": (np.zeros((4, 4), np.uint8), r"shape \(4, 4\)"),
    "channels first": (np.zeros((3, 4, 5), np.uint8), "np.moveaxis"),
    "bool": (np.ones((4, 4, 3), bool), "bool"),
    "empty": (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
    "negative": (np.full((4, 4, 3), -1.0), "-1 to -1"),
    "NaN": (np.full((4, 4, 3), np.nan), "nan"),
    "in 0..1": (np.full((4, 4, 3), 0.9), "multiply it by 255"),
    "16 bits": (Image.fromarray(np.zeros((4, 4), np.uint16)), "8 bits"),
}


@pytest.mark.parametrize("bad", BAD, ids=[repr(bad)[:20] for bad in BAD])
def test_an_unreadable_image_is_named(model, bad):
    with pytest.raises(ValueError, match=f"cannot be used: .|{BAD[bad]}") as caught:
        model(bad)
    assert str(caught.value).startswith(bad if isinstance(bad, str) else "the image")


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_what_is_no_image_is_told_what_one_is(models, kind):
    bad, part = BAD_ARRAYS[kind]
    messages = []
    for wing in WINGS:
        with pytest.raises(ValueError, match=f"^the image cannot be used: .*{part}") as caught:
            models[wing](bad)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_folder_is_told_to_be_a_list(model, data_dir):
    with pytest.raises(ValueError, match=r"it is a folder; give a list: sorted\(Path\("):
        model(data_dir)


def test_in_a_list_the_others_live(model, photo_file):
    results = model([photo_file, "nothing.jpg", None, photo_file], batch_size=2)
    assert [found.error is None for found in results] == [True, False, False, True]
    assert results[0].probabilities == results[3].probabilities
    assert "nothing.jpg" in results[1].error and "images[2]" in results[2].error
    for ask in (lambda bad: bad.labels, lambda bad: bad.heatmap("dog"), lambda bad: bad.image):
        with pytest.raises(ValueError, match="nothing.jpg cannot be used"):
            ask(results[1])
    assert repr(results[1]) == f"<Result: {results[1].error}>"
    assert results[1]._repr_png_() is None and "nothing.jpg" in results[1]._repr_html_()


def test_an_unknown_label_is_told_the_nearest(model, photo_file):
    found = model(photo_file)
    for ask in (found.heatmap, found.overlay):
        with pytest.raises(ValueError, match="Unknown label 'Dgo'. Did you mean 'dog'"):
            ask("Dgo")
    with pytest.raises(ValueError, match="The labels begin with 'cat'"):
        found.heatmap("zzzz")
    with pytest.raises(KeyError, match="Did you mean 'dog'"):
        _ = found.probabilities["dogs"]
    assert found.probabilities.get("dogs") is None
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        model([photo_file], batch_size=0)


def test_a_run_and_a_bundle_are_not_taken_for_each_other(run, bundle, tmp_path):
    with pytest.raises(ValueError, match="export.scoring.load"):
        vac_tf.load(bundle)
    with pytest.raises(ValueError, match="export_model.py.*vac_tf.load"):
        scoring.load(run.path)
    with pytest.raises(ValueError, match="No labels.json"):
        vac_tf.load(tmp_path)
    with pytest.raises(ValueError, match="No model at"):
        scoring.load(tmp_path)


# ---- What a result shows


def test_a_result_says_what_is_decided(model, photo_file):
    found = model(photo_file)
    assert found.label_names == LABELS == tuple(found.probabilities)
    decided = [name for name in LABELS if found.probabilities[name] > found.thresholds[name]]
    assert sorted(found.labels) == sorted(decided)
    ranked = found.top(3)
    assert [value for _, value in ranked] == sorted(found.probabilities.values(), reverse=True)
    assert list(found.labels) == [name for name, _ in ranked if name in found.labels]
    assert photo_file.name in repr(found)
    assert all(f"{name} {found.probabilities[name]:.3f}" in repr(found) for name in found.labels)


def test_pictures_are_saved_and_shown(model, photo_file, tmp_path):
    found = model(photo_file)
    for suffix in ("png", "jpg", "webp"):
        found.save(tmp_path / "new" / f"dog.{suffix}", "dog", max_side=20)
        assert max(Image.open(tmp_path / "new" / f"dog.{suffix}").size) == 20
    saved = tmp_path / "whole.png"
    found.save(saved, "dog")
    np.testing.assert_array_equal(np.asarray(Image.open(saved)), found.overlay("dog"))
    with pytest.raises(ValueError, match="no suffix of a picture"):
        found.save(tmp_path / "dog.txt")
    assert Image.open(io.BytesIO(found._repr_png_())).size == found.image.shape[1::-1]


@pytest.mark.parametrize("wing", [result, export_result], ids=WINGS)
def test_names_are_shown_as_text(wing):
    names = ("<script>", "a & b", "כלב 🐶")
    module = image_input if wing is result else export_input
    settings = ImageSettings(SIZE) if wing is result else Preprocessing(SIZE, SIZE)
    probabilities = np.float32([0.75, 0.5, 0.25])
    outputs = {"probabilities": probabilities, "logits": probabilities}
    outputs["heatmaps"] = np.zeros((2, 2, 3), np.float32)  # Constant: one colour.
    image = module.ImageInput.of(photo(), settings)
    found = wing.Result(image, names, np.full(3, 0.5, np.float32), outputs)
    page = found._repr_html_()
    assert "&lt;script&gt;" in page and "<script>" not in page and "כלב 🐶" in page
    assert found.labels == ("<script>",)  # 0.5 is not above 0.5.
    assert repr(found) == "<Result of the image: <script> 0.750>"
    many = [f"label {number}" for number in range(12)]
    outputs["probabilities"] = np.linspace(0.6, 0.9, 12, dtype=np.float32)
    found = wing.Result(image, many, np.full(12, 0.5, np.float32), outputs)
    assert repr(found).endswith("label 7 0.791 and 7 more>")
    outputs["probabilities"] = probabilities
    found = wing.Result(image, names, np.full(3, 0.5, np.float32), outputs)
    picture = found.overlay("a & b", opacity=1.0)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1

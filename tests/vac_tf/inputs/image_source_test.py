"""Images of a split: Pillow's pixels after turning, cropping and resizing; caches; bad files."""

import os

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tests.export.encoded_images import encode, huge_images, photograph, refused_images
from vac_tf.datasets import DatasetError, Split
from vac_tf.geometry.boxes import crop_boxes
from vac_tf.inputs.exif_orientation import check_upright
from vac_tf.inputs.image_cache import ImageCache
from vac_tf.inputs.image_source import ImageSettings, ImageSource

SETTINGS = ImageSettings(image_size=24)


@pytest.fixture
def write(tmp_path):
    def write_files(**contents):
        """Writes name=bytes as NAME.jpg (whatever they are) and returns their split."""
        paths = [tmp_path / f"{name}.jpg" for name in contents]
        for path, data in zip(paths, contents.values(), strict=True):
            if data is not None:
                path.write_bytes(data)
        return split_of(paths)

    return write_files


def split_of(paths, boxes=None):
    labels = np.zeros((len(paths), 1), "float32")
    return Split(tuple(str(path) for path in paths), labels, ("label",), boxes, name="train")


def photographs(count, **sizes):
    return {
        f"image{number}": encode(photograph(channels=3, seed=number, **sizes), "JPEG")
        for number in range(count)
    }


def test_resized_images_equal_pillow_in_float(write):
    split = write(a=encode(photograph(channels=3), "PNG"), b=encode(photograph(9, 200, 3), "JPEG"))
    source = ImageSource(split, SETTINGS)
    for index, path in enumerate(split.image_paths):
        bands = Image.open(path).split()
        expected = [b.convert("F").resize((24, 24), Image.Resampling.BILINEAR) for b in bands]
        resized = source.resized(index)
        assert resized.dtype == tf.float32
        np.testing.assert_allclose(resized, np.stack(expected, -1), atol=0.01)


def test_nearest_kernel_is_pillows(write):
    split = write(a=encode(photograph(channels=3), "PNG"))
    resized = ImageSource(split, ImageSettings(24, "nearest")).resized(0)
    expected = Image.open(split.image_paths[0]).resize((24, 24), Image.Resampling.NEAREST)
    np.testing.assert_array_equal(resized, expected)


def test_one_pixel_fills_the_input(write):
    split = write(a=encode(Image.new("RGB", (1, 1), (9, 99, 199)), "PNG"))
    resized = ImageSource(split, SETTINGS).resized(0)
    expected = np.broadcast_to([9.0, 99.0, 199.0], (24, 24, 3))
    np.testing.assert_allclose(resized, expected, rtol=1e-6)


def test_boxes_are_cropped_and_left_as_they_are(write):
    path = write(a=encode(photograph(channels=3), "PNG")).image_paths[0]
    boxes = np.array([[3.5, 2.4, 20.2, 11.0], [-5.0, -5.0, 30.0, 30.0], [70.0, 0.0, 9.0, 9.0]])
    split = split_of([path] * 3, boxes)
    source = ImageSource(split, SETTINGS)
    image = Image.open(path)
    for index, corners in enumerate(crop_boxes(boxes)[:2].tolist()):
        np.testing.assert_array_equal(source.load(index), np.asarray(image.crop(corners)))
    np.testing.assert_array_equal(source.load(2), np.asarray(image))
    for _ in range(3):
        np.testing.assert_array_equal(source.load(1), ImageSource(split, SETTINGS).load(1))
    np.testing.assert_array_equal(split.boxes, boxes)


def test_exif_orientation_is_ignored_unless_asked_for(write):
    files = {}
    for code in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = code
        files[f"code{code}"] = encode(photograph(channels=3), "JPEG", exif=exif)
    split = write(**files)
    as_stored = ImageSource(split, SETTINGS)
    upright = ImageSource(split, ImageSettings(24, apply_exif_orientation=True))
    for index, path in enumerate(split.image_paths):
        with Image.open(path) as image:
            np.testing.assert_array_equal(as_stored.load(index), np.asarray(image))
            np.testing.assert_array_equal(
                upright.load(index), np.asarray(ImageOps.exif_transpose(image))
            )


def test_images_that_are_turned_are_told_apart_from_their_annotations(write):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = photograph(channels=3)
    split = write(upright=encode(picture, "JPEG"), turned=encode(picture, "JPEG", exif=exif))
    check_upright(split.image_paths[:1], "The run")
    with pytest.raises(ValueError, match="The run turns images .* 1 of these 2 have.*turned.jpg"):
        check_upright(split.image_paths, "The run")


def test_a_name_that_is_no_utf_8(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.png"
    with open(path, "wb") as stream:
        stream.write(encode(photograph(5, 7, 3), "PNG"))
    split = Split((os.fsdecode(path),), np.ones((1, 1), np.float32), ("a",))
    source = ImageSource(split, SETTINGS)
    assert source.load(0).shape == (5, 7, 3) and source.find_bad_images() == []


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_exif_orientation_of_damaged_and_huge_files(write):
    tags = Image.Exif()
    tags[0x0112] = 60_000
    broken = encode(photograph(channels=3), "JPEG", exif=b"Exif\0\0no TIFF header here")
    absurd = encode(photograph(channels=3), "JPEG", exif=tags)
    split = write(broken=broken, absurd=absurd, huge=huge_images()["png"], missing=None)
    source = ImageSource(split, ImageSettings(24, apply_exif_orientation=True))
    assert source.load(0).shape == source.load(1).shape == (47, 61, 3)
    assert [index for index, _ in source.find_bad_images()] == [2, 3]
    with pytest.raises(ValueError, match="reads images of at most"):
        ImageSettings(24, apply_exif_orientation=True, max_pixels=10**9)


def test_bad_images_are_found_in_row_order_with_their_reasons(write):
    files, reasons = {}, {}
    for name, (contents, reason) in refused_images().items():
        files |= {f"good_{name}": encode(photograph(5, 5, 3), "PNG"), name: contents}
        reasons[name] = reason
    for name, contents in huge_images().items():
        files[f"huge_{name}"], reasons[f"huge_{name}"] = contents, "more than 89478485 pixels"
    files["missing"], reasons["missing"] = None, "No such file"
    split = write(**files)
    source = ImageSource(split, SETTINGS)
    bad = source.find_bad_images()
    assert [os.path.basename(split.image_paths[i])[:-4] for i, _ in bad] == list(reasons)
    for (_, found), expected in zip(bad, reasons.values(), strict=True):
        assert expected in found
        assert "\n" not in found and "node" not in found and "Op:" not in found
    assert source.find_bad_images(first_only=True) == bad[:1]


def cache_of(folder, kind="disk", content="photographs", sizes=(24, 16)):
    return ImageCache(kind, str(folder / "cache"), content, sizes)


@pytest.mark.parametrize(
    "kind, content, round_inputs, with_boxes",
    [
        ("memory", "photographs", False, True),
        ("disk", "photographs", True, False),
        ("memory", "inputs", True, False),
        ("disk", "inputs", False, True),
    ],
)
def test_caches_give_equal_pixels(write, tmp_path, kind, content, round_inputs, with_boxes):
    split = write(**photographs(3))
    boxes = np.tile([[5.0, 3.0, 20.0, 30.0]], (9, 1)) + np.arange(9)[:, None] * [1, 1, 0, 0]
    # The same file in several rows, as with several people in a picture.
    split = split_of(split.image_paths * 3, boxes if with_boxes else None)
    plain = ImageSource(split, SETTINGS, round_inputs=round_inputs)
    cache = cache_of(tmp_path, kind, content)
    cached = ImageSource(split, SETTINGS, cache, round_inputs)
    decode, cached._decode = cached._decode, None  # Only the cache has them now.
    dataset = tf.data.Dataset.range(len(split)).map(lambda index: cached.views(index, (24, 16)))
    views = list(dataset)
    cached._decode = decode
    for index, (large, small) in enumerate(views):
        for view, expected in zip((large, small), plain.views(index, (24, 16)), strict=True):
            assert view.dtype == tf.float32
            np.testing.assert_array_equal(view, expected)
        np.testing.assert_array_equal(cached.resized(index), large)
        np.testing.assert_array_equal(cached.load(index), plain.load(index))
        # A size that is not kept is resized from the photograph.
        np.testing.assert_array_equal(cached.views(index, (8,)), plain.views(index, (8,)))


def test_rounded_inputs_are_whole_and_half_a_level_off_at_most(write):
    split = write(**photographs(2))
    exact, rounded = (ImageSource(split, SETTINGS, round_inputs=value) for value in (False, True))
    for index in range(2):
        values = np.asarray(rounded.resized(index))
        np.testing.assert_array_equal(values, np.round(values))
        assert 0.0 < np.abs(values - exact.resized(index)).max() <= 0.5


def test_disk_cache_is_used_again_until_something_changes(write, tmp_path):
    split = write(**photographs(2))
    folder = tmp_path / "cache"

    def files(settings=SETTINGS, content="photographs", sizes=(24,), round_inputs=False):
        cache = cache_of(tmp_path, "disk", content, sizes)
        ImageSource(split, settings, cache, round_inputs)
        return {file: file.stat().st_mtime_ns for file in folder.iterdir()}

    first = files()
    assert len(first) == 1
    # Photographs are the same whatever they are resized to.
    assert files(ImageSettings(96, "nearest"), round_inputs=True) == first
    others = [
        dict(settings=ImageSettings(24, apply_exif_orientation=True)),
        dict(content="inputs"),
        dict(content="inputs", round_inputs=True),
        dict(content="inputs", settings=ImageSettings(24, "nearest"), sizes=(24, 16)),
    ]
    for count, other in enumerate(others, 2):
        assert len(files(**other)) == len(files(**other)) == count
    with open(split.image_paths[0], "wb") as stream:
        stream.write(encode(photograph(31, 33, 3), "JPEG"))
    assert ImageSource(split, SETTINGS, cache_of(tmp_path)).load(0).shape == (31, 33, 3)
    assert len(list(folder.iterdir())) == len(others) + 2


@pytest.mark.parametrize(
    "kind, content, bad",
    [
        ("memory", "photographs", None),
        ("disk", "photographs", None),
        ("disk", "photographs", b"no image"),
        ("memory", "inputs", b"no image"),
    ],
)
def test_filling_a_cache_names_the_bad_image(write, tmp_path, kind, content, bad):
    split = write(**photographs(1), bad=bad)
    with pytest.raises(DatasetError) as error:
        ImageSource(split, SETTINGS, cache_of(tmp_path, kind, content))
    reason = "No such file" if bad is None else "not a JPEG, PNG, BMP, GIF or WebP image"
    assert "bad.jpg cannot be used: " in str(error.value) and reason in str(error.value)
    assert "assertion" not in str(error.value)
    assert not (tmp_path / "cache").exists() or os.listdir(tmp_path / "cache") == []


def test_disk_full_leaves_no_part_of_a_cache(write, tmp_path, monkeypatch):
    split = write(**photographs(1))

    def full(source, target):
        raise OSError(28, "No space left on device", target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        ImageSource(split, SETTINGS, cache_of(tmp_path))
    assert list((tmp_path / "cache").iterdir()) == []

"""The pages of explain.py and audit.py in a browser: no fault, sorting, search, keyboard, names."""

import csv

import numpy as np
import pytest
from PIL import Image

from export.inspection.audit_job import audit_images
from export.inspection.explain_job import explain_images
from tests.browser import (
    DARK,
    SCREENS,
    barriers,
    column,
    fits_the_screen,
    ground,
    pictures_without_pixels,
)
from tests.export.onnx_models import description, write_channel_mean_model
from vac_tf.configs.audit import AuditConfig
from vac_tf.configs.explanation import ExplanationConfig

pytestmark = pytest.mark.slow
LABELS = ('<b>"red"</b>', "עברית גדולה", "🐶_a_label_of_a_long_name_without_any_space_" * 3)
TABLE = "#labels table"
COUNT = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of odd labels, photos of odd names of which one cannot be read, and their labels."""
    path = tmp_path_factory.mktemp("pages")
    size = {"height": 16, "width": 16}
    write_channel_mean_model(path / "model.onnx", description(LABELS, **size))
    (path / "photos").mkdir()
    random, rows = np.random.default_rng(0), [["image", *LABELS]]
    for number in range(COUNT):
        pixels = random.integers(0, 256, (16 + 8 * (number % 2), 16, 3), np.uint8)
        pixels[..., number % 3] //= 2
        name = ("<i>one</i> 'שלום'", "a_long_name_of_a_file_" * 6)[number % 2] + f" {number}.png"
        name = name.replace("/", "∕")
        Image.fromarray(pixels).save(path / "photos" / name)
        rows.append([name, *(int(number % 3 != channel) for channel in range(2)), 0])
    (path / "photos" / "broken.png").write_bytes(b"no image")
    with open(path / "photos" / "test.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([*rows, ["broken.png", 1, 0, 0]])
    return path


def given(folder, output):
    return {"model": str(folder / "model.onnx"), "output": str(folder / output)}


@pytest.fixture(scope="module")
def gallery(folder):
    config = {"images": str(folder / "photos"), "labels": "all", "sheet_columns": 4}
    explain_images(ExplanationConfig(**given(folder, "explained"), **config))
    return folder / "explained" / "index.html"


@pytest.fixture(scope="module")
def judged(folder):
    config = {"dataset": "table", "data_dir": str(folder / "photos"), "bootstrap_samples": 20}
    audit_images(AuditConfig(**given(folder, "judged"), examples=2, **config))
    return folder / "judged" / "index.html"


@pytest.fixture(scope="module")
def unjudged(folder):
    config = {"images": str(folder / "photos"), "bootstrap_samples": 20}
    audit_images(AuditConfig(**given(folder, "unjudged"), examples=0, **config))
    return folder / "unjudged" / "index.html"


@pytest.fixture
def each(request):
    return request.getfixturevalue(request.param)


every_page = pytest.mark.parametrize("each", ["gallery", "judged", "unjudged"], indirect=True)


@every_page
@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_it_opens_without_fault_and_fits_the_screen(open_page, each, width, scheme):
    page = open_page(each, width, scheme, beside=each.parent.name == "explained")
    assert fits_the_screen(page)
    assert (ground(page) == DARK) == (scheme == "dark")
    assert page.locator("bdi.name", has_text=LABELS[0]).first.is_visible()
    assert pictures_without_pixels(page) == [] and page.faults == []


@every_page
@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_axe_finds_no_barrier(open_page, each, width, scheme):
    assert barriers(open_page(each, width, scheme, beside=True)) == []


@every_page
def test_sections_are_reached_by_keyboard_and_all_is_printed(open_page, each):
    page = open_page(each, beside=True)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    for link in page.locator(".contents a").all():
        assert page.locator(link.get_attribute("href")).get_by_role("heading").first.is_visible()
    assert page.pdf()[:4] == b"%PDF"


def test_the_table_of_labels_sorts_by_click_and_key(open_page, judged):
    page = open_page(judged)
    names = column(page, TABLE, 1)
    head = page.locator(f"{TABLE} th", has_text="images").first
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, TABLE, 2) == sorted(column(page, TABLE, 2), key=int)[::-1]
    name = page.locator(f"{TABLE} th").first
    name.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert name.get_attribute("aria-sort") == "ascending" and not head.get_attribute("aria-sort")
    first_to_last = column(page, TABLE, 1)
    page.keyboard.press("Space")
    assert column(page, TABLE, 1) == first_to_last[::-1]
    assert sorted(first_to_last) == sorted(names) and page.faults == []


def test_the_gallery_is_searched_by_name_label_and_decision(open_page, gallery):
    page = open_page(gallery, beside=True)
    images, heatmaps = page.locator(".picture-row:visible"), page.locator(".heat:visible")
    assert images.count() == COUNT and heatmaps.count() == COUNT * len(LABELS)
    page.get_by_label("Search").fill("SHALOM")
    assert images.count() == 0
    page.get_by_label("Search").fill("<I>ONE")
    assert images.count() == COUNT // 2
    assert page.get_by_role("status").inner_text() == f"{COUNT // 2} of {COUNT} images"
    page.get_by_label("Search").fill("")
    page.get_by_label("Label").select_option(LABELS[1])
    assert images.count() == heatmaps.count() == COUNT
    page.get_by_label("only decided").focus()
    page.keyboard.press("Space")
    said = [text.split("\n")[0] for text in heatmaps.locator(".small").first.all_inner_texts()]
    assert 0 < heatmaps.count() < COUNT and said[0].startswith("decided")
    assert page.faults == []


def test_a_heatmap_leads_to_its_views_and_names_its_label(open_page, gallery):
    page = open_page(gallery, beside=True)
    picture = page.get_by_role("link", name=f"Heatmap of {LABELS[0]}").first
    picture.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/*_views.jpg")
    assert page.faults == []


def test_what_could_not_be_read_is_told_with_its_reason(open_page, gallery, judged):
    for file in (gallery, judged):
        table = open_page(file, beside=True).get_by_role("region", name="could not be read").last
        assert "broken.png" in table.inner_text() and "unreadable" in table.inner_text()

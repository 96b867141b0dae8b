"""The page in a browser: no error, sorting, slider, keyboard, names, contrast, phone and print."""

import dataclasses
import types

import numpy as np
import pytest

from tests.browser import (
    DARK,
    SCREENS,
    barriers,
    column,
    fits_the_screen,
    ground,
    pictures_without_pixels,
)
from tests.vac_tf.report.evaluated_runs import ODD_NAMES, evaluated_run
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.report import page as page_module
from vac_tf.report.comparison import panels as panels_module
from vac_tf.report.comparison.runs import own_run
from vac_tf.report.page import write_report

pytestmark = pytest.mark.slow
OTHERS = ('<b>other</b> "run"', "a_run_of_a_long_name_without_a_space_as_folders_have_them")
TABLE = "#label-table"


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    labels = (np.random.default_rng(3).random((40, len(ODD_NAMES))) < 0.3).astype(np.float32)
    labels[:, -1] = 0
    return evaluated_run(tmp_path_factory.mktemp("run"), labels=labels)


@pytest.fixture(scope="module")
def report(evaluated):
    return write_report(evaluated)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory, evaluated):
    """A page that compares with two runs, of which each is better on half of the labels."""
    folder = tmp_path_factory.mktemp("compared")
    compared = evaluated_run(folder, labels=evaluated.labels, compare_with="one,two")
    noise = np.random.default_rng(0).normal(size=compared.logits.shape).astype(np.float32)
    is_first, truth = np.arange(len(ODD_NAMES)) < 3, 9 * compared.labels - 4
    logits = [np.where(where, truth, noise) for where in (is_first, ~is_first)]
    turned = types.SimpleNamespace(images=lambda images: images[:, :, ::-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panels_module, "heatmap_strides", lambda network: (8,))
        patch.setattr(panels_module, "table2_transforms", lambda *_: {"hflip": turned})
        others = [
            dataclasses.replace(own_run(compared), name=name, logits=values)
            for name, values in zip(OTHERS, logits, strict=True)
        ]
        patch.setattr(page_module, "compared_runs", lambda _: others)
        return write_report(compared)


@pytest.fixture
def either(request):
    """The page of an evaluation or that of a comparison."""
    return request.getfixturevalue(request.param)


both = pytest.mark.parametrize("either", ["report", "comparison"], indirect=True)


@both
@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_it_opens_without_fault_and_fits_the_screen(open_page, either, width, scheme):
    page = open_page(either, width, scheme)
    assert fits_the_screen(page)
    assert (ground(page) == DARK) == (scheme == "dark")
    assert page.locator("bdi.name", has_text=ODD_NAMES[0]).first.is_visible()
    assert pictures_without_pixels(page) == [] and page.faults == []


def test_a_click_and_a_key_sort(open_page, report):
    page = open_page(report)
    precisions = column(page, TABLE, 2)
    assert precisions[-1] == "–" and precisions[:-1] == sorted(precisions[:-1], key=float)[::-1]
    head = page.locator(f"{TABLE} th", has_text="AP").first
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, TABLE, 2) == [*sorted(precisions[:-1], key=float), "–"]
    name = page.locator(f"{TABLE} th").first
    name.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert name.get_attribute("aria-sort") == "ascending" and not head.get_attribute("aria-sort")
    assert column(page, TABLE, 1) != column(page, TABLE, 1)[::-1]
    assert page.faults == []


@pytest.mark.parametrize("steps", [0, 7, -31])
def test_the_slider_says_what_the_metrics_say(open_page, evaluated, report, steps):
    page = open_page(report)
    page.get_by_label("Label", exact=True).select_option("1")
    slider = page.get_by_label("Threshold", exact=True)
    slider.focus()
    for _ in range(abs(steps)):
        page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")
    threshold = float(page.locator("#threshold-text").inner_text())
    assert threshold == pytest.approx(0.5 + steps / 100)
    assert slider.get_attribute("aria-valuetext") == page.locator("#threshold-text").inner_text()
    row = evaluate_logits(evaluated.labels, evaluated.logits, ODD_NAMES, threshold=threshold)[
        "per_label"
    ][1]
    for name in ("precision", "recall", "F1"):
        shown = page.locator(f"#read-{name.lower()}").inner_text()
        assert float(shown) == pytest.approx(100 * row[name], abs=0.051)


def test_a_label_is_chosen_and_found_by_keyboard(open_page, report):
    page = open_page(report)
    button = page.get_by_role("button", name=ODD_NAMES[3])
    button.focus()
    page.keyboard.press("Enter")
    assert page.get_by_label("Label", exact=True).input_value() == "3"
    assert ODD_NAMES[3] in page.locator("#curve svg").get_attribute("aria-label")
    page.get_by_label("Find a label").fill("DOG")
    assert page.locator("#label-table tbody tr:visible").count() == 1
    page.get_by_label("Label", exact=True).select_option(str(len(ODD_NAMES) - 1))
    assert page.locator("#read-recall").inner_text() == "–"
    assert "no curve" in page.locator("#tuned-note").inner_text()


def test_everything_is_open_on_paper(open_page, report):
    page = open_page(report)
    assert page.locator("details:not([open])").count() > 0
    assert page.pdf()[:4] == b"%PDF"
    assert page.locator("details:not([open])").count() == 0


def test_every_run_and_gain_of_a_comparison_is_told_in_words(open_page, comparison):
    page = open_page(comparison)
    section = page.get_by_role("region", name="Comparison", exact=True)
    for name in OTHERS:
        assert section.get_by_role("heading", name=f"Against {name}").is_visible()
    gains = section.locator("table.gains").first
    told = gains.locator("tbody td:nth-child(2)").all_inner_texts()
    numbers = [float(each.replace("−", "-")) for each in told if each != "–"]
    assert len(numbers) == len(ODD_NAMES) - 1 and numbers == sorted(numbers)[::-1]
    assert min(numbers) < 0 < max(numbers)
    pictures = section.locator(".panel img")
    assert pictures.count() > 0
    for picture in pictures.all():
        assert any(name in picture.get_attribute("alt") for name in OTHERS + ("compared",))


@both
@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_axe_finds_no_barrier(open_page, either, width, scheme):
    assert barriers(open_page(either, width, scheme)) == []

"""The page in a browser: no error, sorting, slider, keyboard, names, contrast, phone and print."""

import os
import shutil

import numpy as np
import pytest

from tests.vac_tf.report.evaluated_runs import ODD_NAMES, evaluated_run
from vac_tf.metrics.multilabel import evaluate_logits
from vac_tf.report.page import write_report

pytestmark = pytest.mark.slow
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    labels = (np.random.default_rng(3).random((40, len(ODD_NAMES))) < 0.3).astype(np.float32)
    labels[:, -1] = 0
    return evaluated_run(tmp_path_factory.mktemp("run"), labels=labels)


@pytest.fixture(scope="module")
def browser():
    reason = "playwright is not installed: pip install -r requirements-browser.txt"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    found = os.environ.get("VAC_CHROMIUM") or next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if not found:
        pytest.skip("no Chromium: apt-get install chromium, or set VAC_CHROMIUM to its program")
    with playwright.sync_playwright() as started:
        # Without its sandbox it also runs as root, in a container; it sees nothing but our page.
        opened = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(evaluated):
    return f"file://{write_report(evaluated)}"


@pytest.fixture
def open_page(browser, address):
    pages = []

    def open_it(width=1440, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        page.faults = []
        page.on("console", lambda message: page.faults.append(message.text))
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("dialog", lambda dialog: page.faults.append(f"dialog {dialog.message}"))
        page.on("request", lambda request: page.faults.extend(_elsewhere(request.url, address)))
        page.goto(address)
        return page

    yield open_it
    for page in pages:
        page.close()


def _elsewhere(url, address):
    return [] if url == address or url.startswith("data:") else [f"request of {url}"]


def column(page, number):
    return page.locator(f"#label-table tbody tr > :nth-child({number})").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_it_opens_without_fault_and_fits_the_screen(open_page, width, scheme):
    page = open_page(width, scheme)
    assert page.faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert dark == (scheme == "dark")
    assert page.locator("bdi.name", has_text=ODD_NAMES[0]).first.is_visible()


def test_a_click_and_a_key_sort(open_page):
    page = open_page()
    precisions = column(page, 2)
    assert precisions[-1] == "–" and precisions[:-1] == sorted(precisions[:-1], key=float)[::-1]
    head = page.locator("#label-table th", has_text="AP").first
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, 2) == [*sorted(precisions[:-1], key=float), "–"]
    name = page.locator("#label-table th").first
    name.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert name.get_attribute("aria-sort") == "ascending" and not head.get_attribute("aria-sort")
    assert column(page, 1) != column(page, 1)[::-1]
    assert page.faults == []


@pytest.mark.parametrize("steps", [0, 7, -31])
def test_the_slider_says_what_the_metrics_say(open_page, evaluated, steps):
    page = open_page()
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


def test_a_label_is_chosen_and_found_by_keyboard(open_page):
    page = open_page()
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


def test_everything_is_open_on_paper(open_page):
    page = open_page()
    assert page.locator("details:not([open])").count() > 0
    assert page.pdf()[:4] == b"%PDF"
    assert page.locator("details:not([open])").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_no_barrier(open_page, width, scheme):
    script = os.environ.get("VAC_AXE_CORE", "")
    if not os.path.exists(script):
        pytest.skip("VAC_AXE_CORE is not the path of axe.min.js (npm install axe-core)")
    page = open_page(width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.add_script_tag(path=script)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    barriers = [(each["id"], [node["html"][:150] for node in each["nodes"][:3]]) for each in found]
    assert barriers == []

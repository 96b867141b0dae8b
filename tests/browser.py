"""Pages in a headless Chromium: opened, watched for faults, and asked for barriers."""

import contextlib
import os
import shutil
import urllib.parse
from collections.abc import Iterator

import pytest

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
SCREENS = [(width, scheme) for width in (390, 1440) for scheme in ("light", "dark")]
DARK = "rgb(20, 23, 27)"
_PATIENCE = 180_000  # Milliseconds; a machine that does ten other things opens a page in 30 s.


@contextlib.contextmanager
def start_browser() -> Iterator:
    """A headless Chromium; skips the test, with what to install, where there is none."""
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


def open_watched(browser, file, width: int = 1440, scheme: str = "light", beside: bool = False):
    """Opens a page; `page.faults` then lists what it logged, asked or fetched from elsewhere.

    Args:
        browser: of `start_browser`.
        file: path of the page.
        width: of the window in pixels.
        scheme: "light" or "dark".
        beside: whether the page may fetch files that lie beside it.
    """
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    address = f"file://{urllib.parse.quote(str(file))}"
    own = f"{os.path.dirname(address)}/" if beside else address
    page.set_default_timeout(_PATIENCE)
    page.faults = []
    page.on("console", lambda message: page.faults.append(message.text))
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("dialog", lambda dialog: page.faults.append(f"dialog {dialog.message}"))
    page.on("request", lambda request: page.faults.extend(_elsewhere(request.url, own)))
    page.goto(address)
    return page


def fits_the_screen(page) -> bool:
    """Whether nothing of the page lies beyond the window's right edge."""
    width = page.viewport_size["width"]
    return page.evaluate("document.documentElement.scrollWidth") <= width


def pictures_without_pixels(page) -> list[str]:
    """Addresses of pictures that cannot be shown; those further down are fetched first."""
    return page.evaluate(
        """async () => {
            const pictures = [...document.images];
            for (const picture of pictures) picture.loading = "eager";
            await Promise.allSettled(pictures.map((picture) => picture.decode()));
            return pictures.filter((one) => !one.naturalWidth).map((one) => one.src.slice(0, 80));
        }"""
    )


def ground(page) -> str:
    """The colour of the page's ground, as CSS says it."""
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def column(page, table: str, number: int) -> list[str]:
    """What the cells of a column say, from the first row to the last; columns count from 1."""
    return page.locator(f"{table} tbody tr > :nth-child({number})").all_inner_texts()


def barriers(page) -> list:
    """What axe-core holds against the page, with everything on it opened.

    Skips the test where VAC_AXE_CORE does not lead to axe.min.js.
    """
    script = os.environ.get("VAC_AXE_CORE", "")
    if not os.path.exists(script):
        pytest.skip("VAC_AXE_CORE is not the path of axe.min.js (npm install axe-core)")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.add_script_tag(path=script)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [(each["id"], [node["html"][:150] for node in each["nodes"][:3]]) for each in found]


def _elsewhere(url, own):
    return [] if url.startswith((own, "data:")) else [f"request of {url}"]

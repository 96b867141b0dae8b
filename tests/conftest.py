"""Fixtures shared by the tests."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser import open_watched, start_browser

_REPOSITORY = Path(__file__).resolve().parent.parent
_LONGEST = (
    "journey_test.py",
    "dual_stream_page_test.py",
    "run_test.py",
    "interrupted_run_test.py",
    "run_data_test.py",
    "precisions_test.py",
    "benchmarks_test.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first, or one worker would be left alone with one of them."""
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """Folder of a real dataset by name; skips the test when it is not on this machine.

    Looked for under the environment variable VAC_REAL_DATA, by default in a folder beside the
    repository.
    """
    root = Path(os.environ.get("VAC_REAL_DATA") or _REPOSITORY.parent / "shared" / "data")

    def find(name: str) -> Path:
        folder = root / name
        if not folder.is_dir():
            pytest.skip(f"real data {name!r} is not at {folder}; set VAC_REAL_DATA to its parent")
        return folder

    return find


@pytest.fixture(scope="session")
def tiny_settings(tmp_path_factory) -> dict[str, Any]:
    """Settings of a run that takes seconds: 48 generated images of 32 pixels, 2 x 6 steps."""
    return {
        "data_dir": str(tmp_path_factory.mktemp("scenes")),
        "scenes_train_images": 48,
        "scenes_image_size": 32,
        "image_size": 32,
        "batch_size": 8,
        "epochs": 2,
        "transforms": "hflip",
        "ema_decay": 0.9,
    }


@pytest.fixture(scope="session")
def finished_run(tiny_settings, tmp_path_factory):
    """The config of a finished run with `tiny_settings`; its folder must not be changed."""
    from vac_tf.configs.classification import TrainConfig
    from vac_tf.training.run import run

    config = TrainConfig(run_dir=str(tmp_path_factory.mktemp("runs") / "tiny"), **tiny_settings)
    run(config)
    return config


@pytest.fixture(scope="session")
def grouped_run(tmp_path_factory):
    """The config of a finished run of labels that exclude each other; it must not be changed."""
    from tests.vac_tf.grouped_table import write_grouped_table
    from vac_tf.configs.classification import TrainConfig
    from vac_tf.training.run import run

    folder = write_grouped_table(tmp_path_factory.mktemp("grouped"))
    config = TrainConfig(
        run_dir=str(tmp_path_factory.mktemp("runs") / "grouped"),
        dataset="table",
        data_dir=str(folder),
        label_groups=str(folder / "groups.toml"),
        image_size=32,
        batch_size=8,
        epochs=3,
    )
    run(config)
    return config


@pytest.fixture
def tiny_backbone(monkeypatch) -> str:
    """Name of a backbone of one convolution, stride 16: most of a run is then not making graphs."""
    from tests.vac_tf.tiny_backbones import add_tiny_backbones

    add_tiny_backbones(monkeypatch)
    return "tiny"


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium; the test is skipped where there is none."""
    with start_browser() as opened:
        yield opened


@pytest.fixture
def open_page(browser):
    """Opens a page as `tests.browser.open_watched` does, and closes it after the test."""
    pages = []

    def open_it(file, *screen, **how):
        pages.append(open_watched(browser, file, *screen, **how))
        return pages[-1]

    yield open_it
    for page in pages:
        page.close()

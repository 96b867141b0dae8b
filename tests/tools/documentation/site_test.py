"""The site is built without a warning: a broken link or a page left out fails."""

import dataclasses
import logging
import re

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from command.programs import PROGRAMS
from flags.dataclass_flags import flag_name
from tools.documentation import program_pages, repository_pages
from tools.python_imports import REPOSITORY
from vac_tf.configs.classification import TrainConfig


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site, built with the settings of mkdocs.yml."""
    folder = tmp_path_factory.mktemp("site")
    config = load_config(str(REPOSITORY / "mkdocs.yml"), site_dir=str(folder))
    assert config.strict
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    config.plugins.on_shutdown()
    return folder


def text(site, page):
    return (site / page).read_text(encoding="utf-8")


def test_the_site_has_every_page_and_file_that_pages_link_to(site):
    for path in REPOSITORY.glob("docs/*.md"):
        assert (site / f"{path.stem}.html").exists()
    assert 'href="CONTRIBUTING.html"' in text(site, "index.html")
    assert (
        'src="photographs.jpg"' in text(site, "index.html") and (site / "photographs.jpg").exists()
    )
    assert 'href="experiments/RESULTS.html"' in text(site, "study.html")
    tutorial = text(site, "tutorial.html")
    assert 'href="install.html"' in tutorial and (site / "tutorial.ipynb").exists()
    assert 'href="tutorial.ipynb"' in tutorial and "export_network" in tutorial
    assert "FORMS" in text(site, "vac_tf/losses/consistency.py.html")


def test_nothing_is_fetched_from_elsewhere(site):
    for path in site.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img)[^>]*src="(?:https?:)?//', page), path
        assert not re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="(?:https?:)?//', page), path


def test_the_reference_shows_names_with_their_arguments(site):
    page = text(site, "reference/vac_tf.html")
    for name in ("load", "Model", "Model.__call__", "train", "register_loss"):
        assert f'id="vac_tf.{name}"' in page, name
    assert "DivergenceError" in page
    assert 'id="vac_tf.losses.attention_consistency"' in text(site, "reference/losses.html")


def test_every_flag_of_every_program_is_shown(site):
    page = text(site, "programs/train.html")
    for field in dataclasses.fields(TrainConfig):
        assert f"<code>--{flag_name(field)}=" in page, field.name
    assert "mirror" in page  # A word of a help text.
    for name, program in PROGRAMS.items():
        assert f"<code>vac {name}</code>" in text(site, f"programs/{name}.html")
        assert f"{program.module}.py" in text(site, f"programs/{name}.html")


def test_a_broken_link_stops_the_build(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# Page\n\n[there](absent.md)\n")
    settings = {"docs_dir": "docs", "site_dir": str(tmp_path / "site"), "plugins": []}
    file = tmp_path / "mkdocs.yml"
    file.write_text("site_name: broken\nstrict: true\n")
    logging.getLogger("mkdocs").setLevel(logging.WARNING)
    with pytest.raises(Exception, match="Aborted with 1 warnings in strict mode"):
        build(load_config(str(file), **settings))
    with pytest.raises(ValueError, match="docs/index.md links to 'absent.md'. Expected a file"):
        repository_pages.linked_files(tmp_path, ["docs/index.md"])


def test_links_lead_to_where_files_lie_in_the_site():
    page = "[a](../README.md#papers) [b](../vac_tf/x.py) [c](training.md)\n```\n[d](../e.md)\n```\n"
    moved = repository_pages.with_links_of_site(page, "docs/training.md")
    assert moved.startswith("[a](index.md#papers) [b](vac_tf/x.py.md) [c](training.md)")
    assert "[d](../e.md)" in moved
    page = "[a](docs/training.md) [b](https://a.org) [c](#there) ![d](docs/e.png)"
    moved = repository_pages.with_links_of_site(page, "README.md")
    assert moved == "[a](training.md) [b](https://a.org) [c](#there) ![d](e.png)"


def test_help_texts_stay_what_they_are():
    flag = program_pages.Flag("loss", "string", "", "<a|one of --import>: no *x*, `y` --x=1.")
    assert program_pages._term(flag) == (
        "`--loss=…`\n:   &lt;a\\|one of `--import`&gt;: no \\*x\\*, `y` `--x=1`."
    )

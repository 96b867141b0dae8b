"""What README and the pages promise; their commands run in `journey_test.py`."""

import dataclasses
import re

from tests.programs.documentation import commands, page, run_example
from tools.python_imports import REPOSITORY
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.runs.changed_settings import SETTINGS_AGAINST_DIVERGENCE, changed_settings

MOST_LINES = 130
TRAINING = "docs/training.md"
PAGES = sorted(path.relative_to(REPOSITORY).as_posix() for path in REPOSITORY.glob("docs/*.md"))


def test_readme_is_a_front_page():
    assert len(page("README.md").splitlines()) <= MOST_LINES


def test_every_program_that_the_pages_name_exists():
    for name in ("README.md", "CONTRIBUTING.md", *PAGES):
        for program in set(re.findall(r"python (\w+\.py)", page(name))):
            assert (REPOSITORY / program).exists(), f"{name} names {program}"
    programs = {program for _, program, *_ in commands("README.md")}
    assert {"train.py", "evaluate.py", "export_model.py", "score.py"} <= programs


def test_links_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", *PAGES):
        folder = (REPOSITORY / name).parent
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page(name)):
            if not link.startswith("http"):
                assert (folder / link).exists(), f"{name} links to {link}"


def test_every_page_is_reached_from_readme():
    assert len(PAGES) > 5
    for name in PAGES:
        assert f"({name})" in page("README.md"), name


def test_the_page_lists_the_flags_that_may_differ_when_a_run_goes_on():
    fields = (*dataclasses.fields(TrainConfig), *dataclasses.fields(SaliencyConfig))
    free = {
        field.metadata["flag"] or field.name
        for field in fields
        if not changed_settings({field.name: 0}, {field.name: 1})
    }
    (told,) = re.findall(r"Which flags may differ(.*?)Any other flag", page(TRAINING), re.DOTALL)
    ends = {"epochs", "early_stopping_epochs"}
    assert set(re.findall(r"`--(\w+)`", told)) == free | ends | SETTINGS_AGAINST_DIVERGENCE


def test_library_example_runs_as_printed():
    example, lines = run_example("README.md", REPOSITORY)
    assert lines == re.findall(r"print\(.*\)  # (.*)", example)

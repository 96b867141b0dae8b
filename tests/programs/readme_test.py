"""README's commands, from training to scores, and what README promises."""

import json
import re

from pyarrow import parquet

from tests.programs.documentation import commands, page, run_commands, run_example, write_data
from tools.python_imports import REPOSITORY

MOST_LINES = 130
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


def test_library_example_runs_as_printed():
    example, lines = run_example("README.md", REPOSITORY)
    assert lines == re.findall(r"print\(.*\)  # (.*)", example)


def test_commands_lead_from_training_to_scores(tmp_path):
    write_data(tmp_path)
    run_commands("README.md", tmp_path)
    evaluation = json.loads((tmp_path / "runs/mine/evaluation.json").read_text())
    assert 0.0 <= evaluation["label_based"]["mAP"] <= 1.0
    rows = parquet.read_table(tmp_path / "scores.parquet").to_pylist()
    assert [row["image"] for row in rows] == [f"photos/{number}.jpg" for number in range(3)]
    assert {row["status"] for row in rows} == {"ok"}

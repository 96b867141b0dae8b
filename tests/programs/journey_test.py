"""The commands of README, docs/scoring.md and docs/training.md, from training to scores.

All run in one folder: what one page has run is there for the next, and is not run again.
"""

import ast
import json

import pytest
from pyarrow import parquet

from tests.programs.documentation import commands, run_commands, run_example, write_data

pytestmark = pytest.mark.timeout(1800)  # Up to eight programs, which a busy machine draws out.
README, SCORING, TRAINING = "README.md", "docs/scoring.md", "docs/training.md"
LIBRARY = "docs/library.md"


@pytest.fixture(scope="module")
def after_readme(tmp_path_factory):
    """The folder, and what README's commands leave there: evaluation and rows."""
    folder = tmp_path_factory.mktemp("journey")
    write_data(folder)
    run_commands(README, folder)
    rows = parquet.read_table(folder / "scores.parquet").to_pylist()
    return folder, read_evaluation(folder / "runs/mine"), rows


@pytest.fixture(scope="module")
def after_scoring(after_readme):
    """The same folder after the commands of docs/scoring.md, and what its example printed."""
    folder, *_ = after_readme
    run_commands(SCORING, folder, done=commands(README))
    return folder, run_example(SCORING, folder)[1]


@pytest.fixture(scope="module")
def after_training(after_scoring):
    """The same folder after the commands of docs/training.md, which end with a calibration."""
    folder, _ = after_scoring
    run_commands(TRAINING, folder, done=commands(README))
    return folder


def read_evaluation(run):
    return json.loads((run / "evaluation.json").read_text())


def test_readme_leads_from_training_to_scores(after_readme):
    _, evaluation, rows = after_readme
    assert 0.0 <= evaluation["label_based"]["mAP"] <= 1.0
    assert [row["image"] for row in rows] == [f"photos/{number}.jpg" for number in range(3)]
    assert {row["status"] for row in rows} == {"ok"}


def test_the_library_opens_what_the_programs_wrote(after_readme):
    folder, evaluation, rows = after_readme
    printed = run_example(LIBRARY, folder)[1]
    row = rows[0]
    labels, probability, top, *of_list, measured, own, exported = printed
    assert sorted(ast.literal_eval(labels)) == sorted(row["decisions"])
    assert float(probability) == pytest.approx(row["dog"], abs=1e-5)
    assert dict(ast.literal_eval(top)) == pytest.approx(
        {name: row[name] for name in ("cat", "dog")}
    )
    assert of_list[0] == labels and of_list[3].startswith("photos/missing.jpg cannot be used")
    assert (folder / "pictures/dog.png").exists()
    assert float(measured.split()[0]) == evaluation["label_based"]["mAP"]
    assert own == "(8, 8) ['hflip', 'rotate', 'translate']"
    assert exported == "32 ('cat', 'dog')"


def test_scoring_leads_to_rows_and_to_a_server(after_scoring):
    folder, printed = after_scoring
    assert (folder / "models/mine/config.pbtxt").exists()
    (row, *_) = parquet.read_table(folder / "scores.parquet").to_pylist()
    assert row["image"] == "photos/0.jpg"
    assert printed == [str(row["decisions"]), f"{row['cat']:.3f}"]


def test_training_leads_to_tuned_decisions_and_a_recipe(after_training):
    for run in ("mine", "coco"):
        evaluation = read_evaluation(after_training / "runs" / run)
        assert 0.0 <= evaluation["label_based"]["mAP"] <= 1.0
    assert (after_training / "runs/mine/thresholds.json").exists()
    assert (after_training / "runs/wider_r50_acf/network.keras").exists()

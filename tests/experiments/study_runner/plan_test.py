"""Study files: what they say, and what is refused before anything trains."""

from pathlib import Path

import pytest

from experiments.study_runner.plan import read_study
from experiments.study_runner.running import Places, ordered
from tests.experiments.study_runner.study_files import AVERAGED, FILE
from tools.python_imports import REPOSITORY

COMMITTED = sorted((REPOSITORY / "experiments" / "study").glob("*.toml"))


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "small.toml"
        path.write_text(text)
        return str(path)

    return write


def test_flags_of_a_row_are_the_shared_ones_and_its_own(write):
    study = read_study(write(FILE))
    assert study.name == "small" and list(study.rows) == ["control", "weak", "strong"]
    flags = study.train_flags(study.rows["weak"], 1)
    assert flags[0] == "--scenes_train_images=48"
    assert flags[-3:] == ["--transforms=hflip", "--consistency_weight=0.1", "--seed=1"]
    assert study.rows["strong"].seeds == (0,) and study.rows["weak"].seeds == (0, 1)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_study_files_are_right(path):
    study = read_study(str(path))
    page = (REPOSITORY / "experiments" / "RESULTS.md").read_text()
    assert f"<!-- study {study.name} -->" in page and f"<!-- /study {study.name} -->" in page
    listed = {key for table in study.tables for key in table["rows"]}
    assert {key for key, row in study.rows.items() if row.program == "train.py"} <= listed


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            "consistency_weight = 0.1",
            "weight = 0.1",
            "row 'weak': Unknown command line flag 'weight'",
        ),
        ("epochs = 1", "epoch = 1", "row 'control': Unknown command line flag 'epoch'"),
        ("epochs = 1", 'epochs = "x"', "row 'control': flag --epochs=x"),
        (
            "epochs = 1",
            "epochs = 0",
            "row 'control': epochs must be at_least|row 'control': epochs",
        ),
        ("robustness = true", "robust = true", "evaluation: Unknown command line flag 'robust'"),
        ("epochs = 1", 'run_dir = "x"', "run_dir is given by the study itself"),
        ('title = "Scenes in small"', "", "title missing"),
        ("seeds = [0, 1]", "seeds = []", "seeds must be a list of whole numbers"),
        ("seeds = [0]", "seed = [0]", "row 'strong': unknown field \\['seed'\\]"),
        (
            'rows = ["control", "strong"]',
            'rows = ["contrl"]',
            "table 'First': no row \\['contrl'\\]",
        ),
        ('baseline = "control"', 'baseline = "c"', "comparisons: no row \\['c'\\]"),
        ("[rows.weak]", "[rows.Weak]", "row 'Weak': a key has lower-case"),
        ("[shared]", "[shared", "cannot be read as a study file"),
        (
            "epochs = 1",
            "epochs = [1]",
            "row 'control': a flag is a text, a number or true or false",
        ),
        ('name = "weight 1"', "name = 1", "row 'strong': name has the wrong type, got 1"),
        ('name = "weight 1"', 'needs = ["all"]', "row 'strong' needs: no row \\['all'\\]"),
        ('name = "weight 1"', 'program = "demo.py"', "row 'strong': program 'demo.py'"),
        ('title = "First"\n', "", "tables: title missing in"),
        ('name = "The weight"\n', "", "choices: name missing in"),
        ('key = "chosen"\n', "", "choices: key missing in"),
        ('key = "chosen"', "key = 1", "choices: key has the wrong type, got 1"),
        ('key = "chosen"', 'key = "weak"', "its key is another row's"),
        (
            'baseline = "control"\nrows = ["weak", "strong", "chosen"]',
            'baseline = "control"',
            "rows",
        ),
        ("by_label = true", 'by_label = "yes"', "by_label has the wrong type"),
        ('rows = ["weak", "strong"]\n\n[[choices', "rows = [1]\n\n[[choices", "rows are keys"),
        ('name = "weight 1"', 'needs = ["strong"]', "row 'strong' needs itself"),
        ("robustness = true", 'average_precision = "voc07"', "average_precision is 'voc07', but"),
        ("robustness = true", 'unknown_labels = "negative"', "unknown_labels is 'negative', but"),
        ("epochs = 1", 'epochs = 1\nlabel_groups = "a.json"', "label_groups is 'a.json', but"),
        (
            'name = "weight 1"',
            'analyze = true\nevaluation = { tta = "hflip" }',
            "analyze looks at one view",
        ),
    ],
)
def test_what_is_wrong_is_named_with_file_and_row(write, old, new, message):
    assert old in FILE
    with pytest.raises(ValueError, match=message) as caught:
        read_study(write(FILE.replace(old, new)))
    assert "small.toml" in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(ValueError, match="nothing.toml cannot be read as a study file"):
        read_study(str(tmp_path / "nothing.toml"))


def test_rows_of_other_draws_of_averages_and_of_the_same_run(write):
    study = read_study(write(FILE + AVERAGED))
    other, soup, views = (study.rows[key] for key in ("other", "soup", "views"))
    assert "--seed=101" in study.train_flags(other, 1) and other.is_trained
    assert not any("seed=" in flag.split("{")[0] for flag in study.train_flags(soup, 1))
    assert not soup.is_trained and soup.is_evaluated
    told = study.all_flags(views, 1)
    assert {"run_of: soup", "evaluation --tta=hflip", "evaluation --split=test"} <= set(told)
    assert "soup program: average_runs.py" in told and "soup other --seed=101" in told
    order = [row.key for row, seed in ordered(study) if seed == 0]
    assert order.index("soup") > max(order.index("weak"), order.index("other"))
    assert order.index("views") > order.index("soup")
    places = Places(Path("data"), Path("runs"))
    assert places.run_dir(views, 1) == places.run_dir(soup, 1)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('run_of = "gone"', "row 'x' needs: no row \\['gone'\\]"),
        ('run_of = "weak"\nflags = { epochs = 1 }', "run_of trains nothing"),
        ('run_of = "weak"\nevaluation = { ttaa = "hflip" }', "row 'x': Unknown command line flag"),
        ('program = "average_runs.py"\nflags = { runs = "a" }', "two run folders at least"),
        ('run_of = "y"\n[rows.y]\nrun_of = "weak"', "'y', which has no run of its own"),
        ('needs = ["y"]\n[rows.y]\nneeds = ["x"]', "itself, directly or through"),
        (
            'run_of = "weak"\n[[choices]]\nkey = "c"\nname = "c"\nrows = ["x", "weak"]',
            "\\['x'\\] evaluate a run again",
        ),
    ],
)
def test_rows_without_a_training_are_checked(write, row, message):
    with pytest.raises(ValueError, match=message):
        read_study(write(f"{FILE}\n[rows.x]\n{row}\n"))

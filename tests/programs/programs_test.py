"""Programs as a user starts them: help, exit codes, one clear line for a mistake.

Each is started plainly once here or in the tests of its room; more starts of it are warm.
"""

import json
import shutil
import subprocess
import sys

import pytest

from tests.programs.warm_start import start_warm
from tools.python_imports import REPOSITORY


def start(program, *arguments):
    return subprocess.run(
        [sys.executable, program, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def assert_one_line(result, exit_code, *parts):
    """The exit code, and a last line that holds `parts`; no traceback."""
    assert result.returncode == exit_code, result.stderr
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    for part in parts:
        assert part in last


def test_a_wrong_flag_and_a_wrong_input_end_with_different_exit_codes(tmp_path):
    job = ("--images=photos", f"--output={tmp_path}/scores.csv")
    assert_one_line(start("score.py", "--doctr"), 2, "Unknown command line flag 'doctr'")
    assert_one_line(start("score.py", *job), 2, "Missing: --model.")
    result = start("score.py", "--model=nothing.onnx", *job)
    assert_one_line(result, 3, "No model at 'nothing.onnx'")


def test_a_reader_that_leaves_early_is_no_fault():
    command = f"{sys.executable} score.py --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=REPOSITORY, capture_output=True, text=True, timeout=240
    )
    assert done.stdout in ("141\n", "0\n") and done.stderr == ""


@pytest.mark.parametrize(
    "command, exit_code, message",
    [
        ("score.py --doctor >&-", (0, 1), ""),
        ("score.py --doctor 2>&-", (0, 1), ""),
        ("score.py --help >&-", (1,), ""),  # absl's exit code for help.
        ("score.py --help >/dev/full", (3,), "The standard output cannot be written: [Errno 28]"),
        ("score.py --model=x --images=x --output=- >&-", (3,), "--output=- needs a standard"),
        ("score.py --model=x --images=x --output=y <&- >&- 2>&-", (3,), ""),
    ],
)
def test_a_closed_or_full_output_is_no_fault(command, exit_code, message):
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} {command}"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode in exit_code, done.stderr
    assert done.stderr.startswith(message) and done.stderr.count("\n") == bool(message)
    assert ("cpu" in done.stdout.lower()) == ("2>&-" in command and "doctor" in command)


@pytest.mark.parametrize(
    "program, flags",
    [
        ("train.py", ("--run_dir", "--consistency_weight", "affine:DEGREES:")),
        ("evaluate.py", ("--run_dir", "--[no]inconsistency", "<step|voc12|voc07>")),
        ("tune.py", ("--output_dir", "--range_steps", "--consistency_weight", "--batch_size")),
        ("analyze.py", ("--baseline_run_dir", "--saliency_run", "--fixations_dir", "train+val")),
    ],
)
def test_help_shows_every_flag(program, flags):
    result = start(program, "--help")
    assert result.returncode == 1 and result.stderr == ""  # absl's exit code for help.
    assert f"python {program} --" in result.stdout
    for flag in flags:
        assert flag in result.stdout


def test_misspelt_flag_is_refused_with_a_proposal():
    expected = "Unknown command line flag 'epoch'. Did you mean: epochs"
    assert_one_line(start("train.py", "--epoch=3"), 2, expected)
    expected = "flag --epochs=many: invalid literal for int"
    assert_one_line(start("train.py", "--epochs=many"), 2, expected)
    expected = "Unknown command line flag 'epoch'. Did you mean: epochs"
    assert_one_line(start_warm("tune.py", "--epoch=3"), 2, expected)


def test_a_check_of_names_alone_is_refused():
    expected = "--only_check_args would check names only. Leave it out"
    assert_one_line(start_warm("train.py", "--only_check_args", "--epochs=-1"), 2, expected)


def test_one_run_is_no_average(tmp_path):
    result = start_warm("average_runs.py", "--runs=runs/one", f"--run_dir={tmp_path / 'run'}")
    assert_one_line(result, 2, "runs must name two run folders at least")
    result = start_warm("average_runs.py", "--runs=one,two", f"--run_dir={tmp_path / 'run'}")
    assert_one_line(result, 3, "one")


def test_leftover_words_are_refused():
    assert_one_line(start("evaluate.py", "runs/one"), 2, "Unexpected arguments: runs/one")


def test_misspelt_transform_ends_with_one_line(tmp_path):
    result = start_warm("train.py", f"--run_dir={tmp_path / 'run'}", "--transforms=hlfip")
    assert_one_line(result, 3, "Unknown transform 'hlfip'. Known transforms: hflip, vflip, scale:")
    assert not (tmp_path / "run").exists()


def test_missing_run_ends_with_one_line(tmp_path):
    run = f"--run_dir={tmp_path}"
    for result in (
        start_warm("evaluate.py", run),
        start("export_model.py", run, f"--bundle_dir={tmp_path}/bundle"),
    ):
        assert_one_line(result, 3, f"No config.json in '{tmp_path}'")


def test_check_data_lists_and_sets_the_exit_code(finished_run, tmp_path):
    data_dir = shutil.copytree(finished_run.data_dir, tmp_path / "data")
    image = next(data_dir.glob("scenes_*/val/*.png"))
    image.write_bytes(b"no image")
    arguments = [f"--data_dir={data_dir}", "--check_data"]
    for name in ("scenes_train_images", "scenes_image_size"):
        arguments.append(f"--{name}={getattr(finished_run, name)}")
    result = start_warm("train.py", *arguments)
    assert result.returncode == 1, result.stderr
    assert f"unreadable {image}: not a JPEG" in result.stdout
    assert "0 rows rejected, 1 images unreadable" in result.stdout


def test_evaluate_prints_the_table_and_writes_the_file(finished_run, tmp_path):
    run_dir = shutil.copytree(finished_run.run_dir, tmp_path / "run")
    result = start("evaluate.py", f"--run_dir={run_dir}", "--split=test")
    assert result.returncode == 0, result.stderr
    evaluation = json.loads((run_dir / "evaluation.json").read_text())
    assert f"{100 * evaluation['label_based']['mAP']:.1f}" in result.stdout
    assert "mAP" in result.stdout and "hflip" in result.stdout


def test_analyze_prints_its_findings_and_writes_the_page(finished_run, tmp_path):
    arguments = (f"--run_dir={finished_run.run_dir}", "--bootstrap_samples=5", "--max_images=8")
    result = start("analyze.py", *arguments, f"--output_dir={tmp_path}")
    assert result.returncode == 0, result.stderr
    analysis = json.loads((tmp_path / "analysis.json").read_text())
    for title, sentences in analysis["readings"].items():
        assert title in result.stdout
        assert all(sentence in result.stdout for sentence in sentences)
    assert (tmp_path / "report.html").exists()
    again = start_warm("analyze.py", *arguments, f"--output_dir={tmp_path / 'analysis.json'}")
    assert_one_line(again, 3, "cannot be written", "Choose another --output_dir")


def test_a_program_speaks_before_its_libraries(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    result = start("train.py", f"--run_dir={tmp_path / 'run'}", "--dataset=coco", "--data_dir=/no")
    assert_one_line(result, 3, "/no")
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    result = start("score.py", "--model=/no.onnx", "--images=/no", "--output=/no.csv")
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr


def test_wanted_messages_of_the_libraries_come_with_verbosity(tmp_path, monkeypatch):
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    arguments = (f"--run_dir={tmp_path / 'run'}", "--dataset=coco", "--data_dir=/no")
    assert "oneDNN" in start("train.py", *arguments, "--verbosity=1").stderr

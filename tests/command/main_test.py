"""`vac`: finds programs by name, and says what is missing or misspelt."""

import subprocess
import sys

import pytest

from command import extras, main, programs
from command.version import VERSION
from tools.python_imports import REPOSITORY


def vac(*arguments):
    command = [sys.executable, "-m", "command", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)


def test_help_lists_every_subcommand(capsys):
    for argument in ("--help", "help"):
        assert main.main([argument]) == 0
        printed = capsys.readouterr().out
        for name, program in programs.PROGRAMS.items():
            assert f"  {name} " in printed and program.summary in printed


def test_version(capsys):
    assert main.main(["--version"]) == 0
    assert capsys.readouterr().out == f"vac {VERSION}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "vac SUBCOMMAND --flag=value"),
        (["scor"], "Unknown subcommand 'scor'. Did you mean: score? Expected one of: train,"),
        (["--run_dir=x"], "Unknown subcommand '--run_dir=x'. Expected one of"),
    ],
)
def test_what_is_no_subcommand_is_a_usage_error(arguments, message, capsys):
    assert main.main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == ""


def test_a_subcommand_is_the_program():
    done = vac("train", "--epoch=3")
    assert done.returncode == 2
    assert done.stderr.startswith("Unknown command line flag 'epoch'. Did you mean: epochs")
    done = vac("help", "score")
    assert "Scores images with an exported network" in done.stdout
    assert "\nvac score:\n" in done.stdout and "--model" in done.stdout


def test_a_distribution_that_is_missing_is_named(monkeypatch, capsys):
    monkeypatch.setattr(main, "_PACKAGE", "not_installed_")
    monkeypatch.setattr(extras, "IS_INSTALLED", True)
    assert main.main(["train"]) == 3
    assert capsys.readouterr().err == "vac train needs vac-tf: pip install vac-tf.\n"


@pytest.mark.parametrize(
    ("is_installed", "install"),
    [(True, "pip install 'vac-scoring[ray]'"), (False, "pip install -r requirements-ray.txt")],
)
def test_what_brings_an_extra_fits_the_place(is_installed, install, monkeypatch):
    monkeypatch.setattr(extras, "IS_INSTALLED", is_installed)
    assert extras.how_to_install(programs.SCORING, "ray") == install


def test_no_extra_of_scoring_brings_tensorflow_to_a_checkout():
    for name, extra in extras.EXTRAS.items():
        *_, last = extras.how_to_install(extra.distribution, name).split()
        if extra.distribution == programs.SCORING:
            assert last != "requirements.txt"
        assert not last.endswith(".txt") or (REPOSITORY / last).is_file()
    assert extras.how_to_install(programs.SCORING, "http") == "pip install urllib3"


def test_missing_packages_are_found(monkeypatch):
    assert extras.missing_packages("parquet") == []
    there = extras.importlib.util.find_spec
    monkeypatch.setattr(
        extras.importlib.util, "find_spec", lambda name: None if name == "ray" else there(name)
    )
    assert "ray" in extras.missing_packages("ray")


def test_a_reader_that_leaves_early_is_no_fault():
    command = f"{sys.executable} -m command train --help | head -1"
    done = subprocess.run(command, shell=True, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout.startswith("Trains a multi-label classifier")
    assert done.stderr == ""

"""What is proposed at a TAB, and that Bash takes it."""

import shutil
import subprocess
import sys

import pytest

from command.completion import SCRIPTS, candidates, complete, printed
from command.programs import PROGRAMS
from tools.python_imports import REPOSITORY


def no_program(name, arguments):
    raise AssertionError("The program need not be asked.")


def two_flags(name, arguments):
    """What absl prints for --helpxml, of a program with a choice, a switch and a foreign flag."""
    assert (name, arguments) == ("train", ["--helpxml"])
    print(
        '<?xml version="1.0"?><AllFlags><flag><key>yes</key><name>loss</name>'
        "<meaning>&lt;a|b&gt;: What is\n minimised.</meaning><type>string enum</type>"
        "<enum_value>asymmetric</enum_value><enum_value>bce</enum_value></flag>"
        "<flag><key>yes</key><name>cache</name><meaning>Keep.</meaning><type>bool</type></flag>"
        "<flag><name>verbosity</name><meaning>Of logs.</meaning><type>int</type></flag></AllFlags>"
    )
    raise SystemExit(1)


def words(line, run=no_program):
    return [word for word, _ in candidates(line, run)]


def test_subcommands():
    assert set(PROGRAMS) < set(words("vac "))
    assert words("vac ev") == ["evaluate", "evaluate-saliency"]
    assert words("vac help ev") == ["evaluate", "evaluate-saliency"]
    assert words("vac completion z") == ["zsh"]
    assert words("vac completion zsh ") == words("vac nothing --") == []


def test_flags_with_their_help():
    found = dict(candidates("vac train --", two_flags))
    assert found["--loss="] == "<a|b>: What is minimised." and found["--cache"] == "Keep."
    assert "--flagfile=" in found and "--verbosity=" not in found
    assert words("vac train --run_dir=x --l", two_flags) == ["--loss="]


def test_values():
    assert words("vac train --loss=", two_flags) == ["--loss=asymmetric", "--loss=bce"]
    assert words("vac train --loss=b", two_flags) == ["--loss=bce"]
    assert words("vac train --cache=t", two_flags) == ["--cache=true"]
    assert words("vac train --flagfile=table_two") == ["--flagfile=table_two_views"]
    assert words("vac train file") == words("vac train --unknown=", two_flags) == []


def test_each_shell_is_told_in_its_way():
    found = [("--loss=bce", "help"), ("--loss=", "more")]
    assert printed(found, "bash") == "bce\n--loss="
    assert printed(found, "zsh") == "--loss=bce\n--loss="
    assert printed(found, "fish") == "--loss=bce\thelp\n--loss=\tmore"


def test_nothing_is_an_empty_answer(capsys):
    assert complete(["zsh", "vac train file"], no_program) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_shell_reads_its_script(shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n"], input=SCRIPTS[shell], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes(tmp_path):
    """A real Bash, with the real programs behind it."""
    vac = tmp_path / "vac"
    vac.write_text(f'#!/bin/sh\nexec {sys.executable} -m command "$@"\n')
    vac.chmod(0o755)
    script = f'PATH="{tmp_path}:$PATH"\n{SCRIPTS["bash"]}\n'
    script += 'COMP_LINE="vac train --precision=mixed_b"; COMP_POINT=${#COMP_LINE}; _vac\n'
    script += 'echo "${COMPREPLY[@]}"\n'
    done = subprocess.run(
        ["bash", "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout == "mixed_bfloat16\n"

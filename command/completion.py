"""Completes what is typed after `vac`: subcommands, flags, their choices, recipes.

The scripts that `vac completion SHELL` prints ask `vac __complete SHELL LINE` at every TAB, so that
they never lag behind the programs. Where nothing is proposed, the shell completes names of files.
"""

import contextlib
import io
import sys
from collections.abc import Callable
from xml.etree import ElementTree

from command.programs import PROGRAMS
from flags.flag_files import recipe_names

SHELLS = ("bash", "zsh", "fish")
_FURTHER = {
    "completion": "print the script that completes `vac` in a shell",
    "help": "the flags of a subcommand",
}

# Bash splits words at `=`, and is given what stands after it only.
_BASH = """\
# bash: eval "$(vac completion bash)" in ~/.bashrc
_vac() {
    local IFS=$'\\n'
    COMPREPLY=($(vac __complete bash "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
}
complete -o default -F _vac vac
"""
_ZSH = """\
#compdef vac
# zsh: eval "$(vac completion zsh)" in ~/.zshrc, below compinit
_vac() {
    local -a candidates
    candidates=(${(f)"$(vac __complete zsh "$LBUFFER" 2>/dev/null)"})
    if (( ${#candidates} )); then
        compadd -S '' -- ${(M)candidates:#*=}
        compadd -- ${candidates:#*=}
    else
        compset -P '*='
        _files
    fi
}
compdef _vac vac
"""
_FISH = """\
# fish: vac completion fish > ~/.config/fish/completions/vac.fish
function __vac_complete
    set -l candidates (vac __complete fish (commandline -cp) 2>/dev/null)
    if test (count $candidates) -gt 0
        printf '%s\\n' $candidates
    else
        set -l word (commandline -ct)
        set -l flag (string match -r -- '^--[^=]*=' $word)
        for path in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $word))
            printf '%s%s\\n' "$flag" $path
        end
    end
end
complete -c vac -f -a '(__vac_complete)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def candidates(line: str, run: Callable[[str, list[str]], int]) -> list[tuple[str, str]]:
    """Words that may stand where the line ends, each with a description.

    Args:
        line: The command line up to the cursor, such as `vac train --pre`.
        run: Runs a program by its name, with arguments.
    """
    *words, current = line.lstrip().split(" ")
    words = [word for word in words if word][1:]
    if not words or words == ["help"]:
        names = {name: program.summary for name, program in PROGRAMS.items()}
        names |= {} if words else _FURTHER
        return _starting(names, current)
    if words[0] == "completion":
        return _starting(dict.fromkeys(SHELLS, "") if len(words) == 1 else {}, current)
    if words[0] not in PROGRAMS or not current.startswith("-"):
        return []
    flag, equals, _ = current.partition("=")
    if equals and flag == "--flagfile":
        return _starting({f"--flagfile={name}": "recipe" for name in recipe_names()}, current)
    return _starting(_flags(words[0], run, flag if equals else ""), current)


def printed(candidates: list[tuple[str, str]], shell: str) -> str:
    """Candidates as the script of a shell expects them, one a line."""
    if shell == "fish":
        return "\n".join(f"{word}\t{description}" for word, description in candidates)
    words = [word for word, _ in candidates]
    if shell == "bash":
        words = [word if word.endswith("=") else word.rpartition("=")[2] for word in words]
    return "\n".join(words)


def _starting(words: dict[str, str], start: str) -> list[tuple[str, str]]:
    return [(word, text) for word, text in words.items() if word.startswith(start)]


def _flags(name: str, run: Callable[[str, list[str]], int], wanted: str) -> dict[str, str]:
    """Word -> help of the flags of a program; of a wanted one with its value, such as --loss=bce.

    They are absl's own description of the program, `--helpxml`.
    """
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        run(name, ["--helpxml"])
    # ElementTree refuses nothing here: the text is this program's own.
    text = output.getvalue()
    words = {}
    for flag in ElementTree.fromstring(text[text.index("<") :]).iter("flag"):
        flag_name, kind = f"--{flag.findtext('name')}", flag.findtext("type")
        help_text = " ".join((flag.findtext("meaning") or "").split())
        if wanted:
            if flag_name == wanted:
                choices = [choice.text for choice in flag.iter("enum_value")]
                choices += ["true", "false"] if kind == "bool" else []
                words = dict.fromkeys((f"{wanted}={choice}" for choice in choices), help_text)
        elif flag.findtext("key") == "yes":
            words[flag_name if kind == "bool" else f"{flag_name}="] = help_text
    if not wanted:
        words |= {"--flagfile=": "a file of flags, or a recipe by its name", "--help": "all flags"}
    return words


def complete(arguments: list[str], run: Callable[[str, list[str]], int]) -> int:
    """`vac __complete SHELL LINE`, for the scripts."""
    shell, line = arguments
    text = printed(candidates(line, run), shell)
    sys.stdout.write(f"{text}\n" if text else "")
    return 0

"""`vac`, the one command of an installation: starts a program by its name."""

import difflib
import importlib.util
import sys
import types
from collections.abc import Sequence

from command.completion import SCRIPTS, complete
from command.extras import how_to_install
from command.programs import PROGRAMS
from command.version import VERSION
from flags.program import INPUT_ERROR, INTERRUPTED, USAGE_ERROR

# In a wheel the programs are modules of a package (tools/wheel_layout.py).
_PACKAGE = "vac_programs." if __package__ == "vac_command" else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the subcommand that `arguments`, or those of the process, begin with.

    Returns:
        The exit code, where no program ran that ends the process with its own.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    if name == "help" and rest:
        name, rest = rest[0], ["--help"]
    if name in ("help", "--help", "-h"):
        print(usage())
        return 0
    if name == "--version":
        print(f"vac {VERSION}")
        return 0
    if name == "completion":
        return _print_completion(rest)
    if name == "__complete" and len(rest) == 2:
        return complete(rest, _run)
    if name not in PROGRAMS:
        print(_unknown(name), file=sys.stderr)
        return USAGE_ERROR
    try:
        return _run(name, rest)
    except KeyboardInterrupt:  # While it was loaded; later the program itself says so.
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED


def usage() -> str:
    """What `vac --help` prints."""
    width = max(map(len, PROGRAMS))
    lines = [f"  {name:{width}}  {program.summary}" for name, program in PROGRAMS.items()]
    return "\n".join(
        [
            "Visual attention consistency: train, explain, export and score image classifiers.",
            "",
            "    vac SUBCOMMAND --flag=value ...",
            "",
            *lines,
            "",
            "vac SUBCOMMAND --help shows its flags; vac --version; vac completion bash|zsh|fish.",
        ]
    )


def _print_completion(shells: list[str]) -> int:
    if len(shells) != 1 or shells[0] not in SCRIPTS:
        given = f"got {' '.join(shells)!r}, " if shells else ""
        print(f"vac completion: {given}expected one of: {', '.join(SCRIPTS)}.", file=sys.stderr)
        return USAGE_ERROR
    print(SCRIPTS[shells[0]], end="")
    return 0


def _unknown(name: str) -> str:
    if not name:
        return usage()
    near = difflib.get_close_matches(name, PROGRAMS, n=1)
    proposal = f" Did you mean: {near[0]}?" if near else ""
    return f"Unknown subcommand {name!r}.{proposal} Expected one of: {', '.join(PROGRAMS)}."


def _run(name: str, arguments: Sequence[str]) -> int:
    """Becomes the program, as `python FILE` would; returns only where it cannot start."""
    program = PROGRAMS[name]
    spec = importlib.util.find_spec(f"{_PACKAGE}{program.module}")
    if spec is None:
        install = how_to_install(program.distribution)
        print(f"vac {name} needs {program.distribution}: {install}.", file=sys.stderr)
        return INPUT_ERROR
    sys.argv = [f"vac {name}", *arguments]
    # Not runpy: --help shows sys.argv[0], which that sets to a path in site-packages.
    module = types.ModuleType("__main__")
    module.__file__, module.__spec__, module.__package__ = spec.origin, spec, spec.parent
    sys.modules["__main__"] = module
    exec(spec.loader.get_code(spec.name), module.__dict__)
    return 0

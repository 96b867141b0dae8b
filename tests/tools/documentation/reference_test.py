"""The reference shows every public name, and each says what it takes and what it gives."""

import functools
import re

import griffe
import pytest

import export.building
import export.scoring
import vac_tf
from tools.python_imports import REPOSITORY

PAGES = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted((REPOSITORY / "docs/reference").glob("*.md"))
}
SHOWN = [name for text in PAGES.values() for name in re.findall(r"^::: (\S+)", text, re.MULTILINE)]
PARSING = {"warn_missing_types": False, "warn_unknown_params": False}


@functools.cache
def package(name):
    """The package of the sources, of which nothing is imported."""
    return griffe.load(name, search_paths=[REPOSITORY])


def shown(name):
    """The object of a public name."""
    first, _, rest = name.partition(".")
    found = package(first)[rest]
    return found.final_target if found.is_alias else found


def public_functions(name):
    """The functions that a page shows for a name: itself, or the public ones of a module."""
    found = shown(name)
    if not found.is_module:
        return [found] if found.is_function else []
    members = [found.members[each] for each in found.exports or ()]
    targets = [each.final_target if each.is_alias else each for each in members]
    return [each for each in targets if each.is_function]


def sections(item):
    """Kind -> section of a docstring; None of it where there is none."""
    parsed = item.docstring.parse("google", **PARSING) if item.docstring else []
    return {section.kind.value: section for section in parsed}


FUNCTIONS = {item.path: item for name in SHOWN for item in public_functions(name)}


@pytest.mark.parametrize("module", [vac_tf, export.scoring, export.building])
def test_every_public_name_is_in_the_reference(module):
    modules = {name for name in SHOWN if shown(name).is_module}
    inside = {item.path for name in modules for item in public_functions(name)}
    inside |= {member.target_path for name in modules for member in _aliases(name)}
    for name in module.__all__:
        assert f"{module.__name__}.{name}" in SHOWN or shown(f"{module.__name__}.{name}").path in (
            inside
        ), name


def _aliases(name):
    return [member for member in shown(name).members.values() if member.is_alias]


def test_the_functions_of_the_library_are_seen():
    assert len(FUNCTIONS) > 25
    assert {"vac_tf.losses.multilabel.attention_consistency"} <= set(FUNCTIONS)


@pytest.mark.parametrize("path", sorted(FUNCTIONS))
def test_a_public_function_documents_what_it_takes_and_gives(path):
    item = FUNCTIONS[path]
    found = sections(item)
    stars = {"variadic positional": "*", "variadic keyword": "**"}
    taken = [f"{stars.get(each.kind.value, '')}{each.name}" for each in item.parameters]
    told = [each.name for each in found["parameters"].value] if "parameters" in found else []
    assert told == taken
    assert str(item.returns) == "None" or "returns" in found


@pytest.mark.parametrize("name", [name for name in SHOWN if shown(name).is_class])
def test_a_public_class_documents_itself_and_its_members(name):
    found = shown(name)
    assert "attributes" in sections(found)
    members = [each for each in found.members.values() if each.is_function or each.is_attribute]
    public = [each for each in members if not each.name.startswith("_") or each.name == "__call__"]
    told = {each.name for each in sections(found)["attributes"].value}
    assert [each.name for each in public if not (each.has_docstring or each.name in told)] == []

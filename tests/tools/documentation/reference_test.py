"""The reference shows every public name, and each says what it takes and what it gives."""

import functools
import re

import griffe
import pytest

import export.building
import export.scoring
import vac_tf
import vac_tf.datasets
import vac_tf.losses
import vac_tf.metrics
import vac_tf.models
import vac_tf.saliency_metrics
import vac_tf.transforms
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


def members(name):
    """Path -> object of what a page shows for a name: itself, or the public names of a module."""
    found = shown(name)
    if not found.is_module:
        return {found.path: found}
    public = [found.members[each] for each in found.exports or ()]
    targets = [each.final_target if each.is_alias else each for each in public]
    # A name that is also that of a submodule is not shown with the module.
    return {each.path: each for each in targets if not each.is_module}


def sections(item):
    """Kind -> section of a docstring; None of it where there is none."""
    parsed = item.docstring.parse("google", **PARSING) if item.docstring else []
    return {section.kind.value: section for section in parsed}


REFERENCE = {path: item for name in SHOWN for path, item in members(name).items()}
FUNCTIONS = sorted(path for path, item in REFERENCE.items() if item.is_function)
CLASSES = sorted(path for path, item in REFERENCE.items() if item.is_class)
ROOMS = [vac_tf.models, vac_tf.losses, vac_tf.transforms, vac_tf.metrics, vac_tf.datasets]


@pytest.mark.parametrize(
    "module", [vac_tf, *ROOMS, vac_tf.saliency_metrics, export.scoring, export.building]
)
def test_every_public_name_is_in_the_reference(module):
    for name in module.__all__:
        value = getattr(module, name)
        assert f"{value.__module__}.{value.__qualname__}" in REFERENCE, name


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_public_function_documents_what_it_takes_and_gives(path):
    item = REFERENCE[path]
    found = sections(item)
    assert documented(item, "parameters") == taken(item)
    assert str(item.returns) == "None" or "returns" in found


@pytest.mark.parametrize("path", CLASSES)
def test_a_public_class_documents_what_it_takes_and_its_members(path):
    item = REFERENCE[path]
    told = {*documented(item, "parameters"), *documented(item, "attributes")}
    assert set(taken(item)) <= told or item.name == "Result"  # Which users do not make.
    own = [each for each in item.members.values() if each.is_function or each.is_attribute]
    public = [each for each in own if not each.name.startswith("_") or each.name == "__call__"]
    inherited = {"images", "heatmaps", "restored_heatmaps", "spec", "kind", "term", "valid_mask"}
    left = {each.name for each in public if not each.has_docstring} - told
    assert left <= (inherited if any("Transform" in str(base) for base in item.bases) else set())


def taken(item):
    """The names of the arguments, with their stars."""
    stars = {"variadic positional": "*", "variadic keyword": "**"}
    names = [f"{stars.get(each.kind.value, '')}{each.name}" for each in item.parameters]
    return [name for name in names if name != "self"]


def documented(item, kind):
    """The names in a section of the docstring."""
    found = sections(item)
    return [each.name for each in found[kind].value] if kind in found else []

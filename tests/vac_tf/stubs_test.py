"""What editors and type checkers see of the names that are loaded at their first use."""

import ast

import pytest

from tools.python_imports import REPOSITORY, lazy_names, syntax_tree

PACKAGES = ("vac_tf", "export/scoring", "export/building")


def stub(package):
    return ast.parse((REPOSITORY / package / "__init__.pyi").read_text(encoding="utf-8"))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_stub_says_of_every_name_where_it_is_from(package):
    names = {}
    for node in stub(package).body:
        if isinstance(node, ast.ImportFrom):
            # `import name as name` hands it on, to a type checker; `import name` does not.
            names |= {alias.asname: node.module for alias in node.names if alias.asname}
            assert all(alias.asname == alias.name for alias in node.names)
    assert names == lazy_names(syntax_tree(f"{package}/__init__.py"))
    (listed,) = (node.value for node in stub(package).body if isinstance(node, ast.Assign))
    assert ast.literal_eval(listed) == sorted(names)


def test_every_lazy_package_has_a_stub():
    lazy = {
        path.parent.relative_to(REPOSITORY).as_posix()
        for folder in ("vac_tf", "export")
        for path in (REPOSITORY / folder).rglob("__init__.py")
        if lazy_names(syntax_tree(path.relative_to(REPOSITORY).as_posix()))
    }
    assert lazy == set(PACKAGES)
    assert all((REPOSITORY / package / "py.typed").exists() for package in PACKAGES)

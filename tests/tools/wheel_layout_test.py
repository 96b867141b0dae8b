"""The wheels hold the checkout, with other names in imports and messages and no other change."""

import ast
import re

import pytest

from command.programs import LIBRARY, PROGRAMS, SCORING
from tools.python_imports import (
    REPOSITORY,
    imported_names,
    internal_files,
    syntax_tree,
)
from tools.wheel_layout import (
    PROGRAM_PACKAGE,
    RENAMED,
    module_name,
    owner,
    path_in_wheel,
    rewritten,
    source_modules,
    wheel_files,
)

MODULES = source_modules(REPOSITORY)
FILES = {name: wheel_files(REPOSITORY, name) for name in (LIBRARY, SCORING)}
SOURCES = {path for files in FILES.values() for path in files.values() if path.endswith(".py")}


@pytest.fixture(scope="module")
def texts():
    """Path in the checkout -> its text there, and in the wheel."""
    originals = {path: (REPOSITORY / path).read_text(encoding="utf-8") for path in SOURCES}
    return {path: (text, rewritten(text, MODULES, path)) for path, text in originals.items()}


class _Renamed(ast.NodeTransformer):
    """The same change from the syntax tree; messages become empty on both sides."""

    def visit_ImportFrom(self, node):
        first, dot, rest = node.module.partition(".")
        node.module = RENAMED.get(first, first) + dot + rest
        return node

    def visit_Import(self, node):
        for alias in node.names:
            first, dot, rest = alias.name.partition(".")
            alias.name = RENAMED.get(first, first) + dot + rest
        return node

    def visit_Constant(self, node):
        return ast.Constant("") if isinstance(node.value, str) else node


class _WithoutMessages(ast.NodeTransformer):
    visit_Constant = _Renamed.visit_Constant


def test_only_imports_and_strings_change(texts):
    changed = {path: pair for path, pair in texts.items() if pair[0] != pair[1]}
    for path in [
        *sorted(changed)[::8],
        "score.py",
        "flags/program.py",
        "vac_tf/models/backbones.py",
    ]:
        assert_only_names_change(path, *texts[path])


@pytest.mark.slow
def test_only_imports_and_strings_change_in_any_file(texts):
    for path, pair in texts.items():
        assert_only_names_change(path, *pair)


def assert_only_names_change(path, original, new):
    expected = ast.dump(_Renamed().visit(ast.parse(original)))
    assert ast.dump(_WithoutMessages().visit(ast.parse(new))) == expected, path
    assert original.count("\n") == new.count("\n"), path


def test_nothing_in_a_wheel_names_what_is_not_there(texts):
    programs = [each.module for each in PROGRAMS.values()]
    imports = re.compile(rf"^\s*(from|import)\s+({'|'.join([*RENAMED, *programs])})\b", re.M)
    messages = re.compile(rf"\b({'|'.join(programs)})\.py\b|requirements-\w+\.txt")
    modules = MODULES & {"command", "export", "flags"} | {m for m in MODULES if "." in m}
    for path, (_, new) in texts.items():
        assert not imports.search(new), path
        if messages.search(new) or re.search(r"\b(export|flags|command)\.", new):
            for string in strings(new):
                assert not messages.search(string), path
                assert string not in modules, path


def strings(text):
    nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant))
    return [node.value for node in nodes if isinstance(node.value, str)]


def test_no_message_is_split_where_a_command_to_install_stands(texts):
    for path, (original, _) in texts.items():
        assert not re.search(r'install -r"\n', original), path


def test_every_file_is_in_one_wheel():
    assert not FILES[LIBRARY].keys() & FILES[SCORING].keys()
    paths = [path for files in FILES.values() for path in files.values()]
    assert len(paths) == len(set(paths))
    assert {module_name(path) for path in SOURCES} == MODULES - {"export", "flags"}
    assert {name.split("/")[0] for files in FILES.values() for name in files} == {
        "vac_tf",
        PROGRAM_PACKAGE,
        *RENAMED.values(),
    }


def test_the_scoring_distribution_imports_nothing_of_the_other():
    python = [path for path in FILES[SCORING].values() if path.endswith(".py")]
    for path in python:
        used = internal_files(imported_names(syntax_tree(path)), SOURCES)
        assert used <= set(python) | {"export/__init__.py", "flags/__init__.py"}, path


def test_where_things_lie():
    assert owner("export/building/exporter.py") == LIBRARY
    assert owner("export/scoring/job.py") == owner("score.py") == SCORING
    assert path_in_wheel("export/scoring/job.py") == "vac_export/scoring/job.py"
    assert FILES[LIBRARY]["vac_programs/train.py"] == "train.py"
    recipe = "flags/recipes/dual_stream/scenes_baseline.flags"
    assert FILES[LIBRARY][path_in_wheel(recipe)] == recipe
    assert not {"vac_export/__init__.py", "vac_flags/__init__.py"} & FILES[SCORING].keys()


def test_imports_are_renamed_wherever_they_stand():
    source = """
from export.files import retry; import vac_tf.flags
import os, export.files.retry as later, numpy
if True: from flags import console
def late():
    from export import (
        config_fields,  # from export
    )
    raise error from flags
from absl import flags, export as command
"""
    assert (
        rewritten(source, ())
        == """
from vac_export.files import retry; import vac_tf.flags
import os, vac_export.files.retry as later, numpy
if True: from vac_flags import console
def late():
    from vac_export import (
        config_fields,  # from export
    )
    raise error from flags
from absl import flags, export as command
"""
    )


def test_strings_that_are_a_module_are_renamed_and_no_others():
    modules = {"export.scoring.job", "flags.console"}
    for string, expected in {
        '"export.scoring.job"': '"vac_export.scoring.job"',
        "'flags.console'": "'vac_flags.console'",
        '"flags"': '"flags"',
        '"export.scoring.jobs"': '"export.scoring.jobs"',
        'b"flags.console"': 'b"flags.console"',
        '"see export.scoring.job"': '"see export.scoring.job"',
    }.items():
        assert rewritten(f"a = {string}\n", modules) == f"a = {expected}\n"


def test_messages_say_what_an_installation_has():
    for message, expected in {
        '"python train_saliency.py --epochs=3"': '"vac train-saliency --epochs=3"',
        'f"of export_model.py, {x}"': 'f"of vac export, {x}"',
        '"retrain.py, trainXpy"': '"retrain.py, trainXpy"',
        '"pip install -r requirements-ray.txt"': "\"pip install 'vac-scoring[ray]'\"",
        "'requirements-hub.txt'": "'\"vac-tf[hub]\"'",
    }.items():
        assert rewritten(f"a = {message}\n", ()) == f"a = {expected}\n"


def test_pages_say_what_an_installation_has():
    html = [path for path in FILES[LIBRARY].values() if path.endswith(".html")]
    texts = {path: (REPOSITORY / path).read_text(encoding="utf-8") for path in html}
    wheel = {path: rewritten(text, MODULES, path) for path, text in texts.items()}
    assert any(".py" in text for text in texts.values())
    assert not [path for path, text in wheel.items() if ".py" in text]


def test_an_import_whose_uses_would_break_is_refused():
    with pytest.raises(ValueError, match="x.py, line 2: import of export without `as`"):
        rewritten("import os\nimport export.files.retry\n", (), "x.py")


def test_no_file_of_the_scoring_distribution_imports_the_library():
    files = [path for path in FILES[SCORING].values() if path.endswith(".py")]
    imported = {path: imported_names(syntax_tree(path)) for path in files}
    assert [p for p, names in imported.items() if any(n.startswith("vac_tf") for n in names)] == []


def test_code_in_a_shared_package_is_refused(tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "__init__.py").write_text("VERSION = 1\n")
    with pytest.raises(ValueError, match=r"export/__init__.py has code. Expected an empty file"):
        wheel_files(tmp_path, SCORING)

"""Modules that `--import` names: found, imported once, named when they are missing."""

import sys

import pytest

from vac_tf.configs.extensions import import_extensions, missing_extensions
from vac_tf.configs.registration import add_name


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_modules_and_files_are_imported_once(folder):
    (folder / "by_name_5.py").write_text("print('named')")
    (folder / "by_path_5.py").write_text("print('file')")
    path = str(folder / "by_path_5.py")
    assert missing_extensions("by_name_5, by_path_5.py") == "by_name_5,by_path_5.py"
    assert import_extensions("by_name_5, by_path_5.py") == f"by_name_5,{path}"
    assert import_extensions(f"by_name_5,{path},by_name_5.py")
    assert missing_extensions(f"by_name_5,{path},by_name_5.py") == ""
    assert import_extensions("") == missing_extensions("") == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("absent_5", "--import=absent_5: there is no such module, installed or in"),
        ("absent_5.part", "--import=absent_5.part: there is no such module"),
        ("absent_5.py", "--import=absent_5.py: there is no such file"),
        ("json.py", "there is another module 'json'; give the file another name"),
    ],
)
def test_what_cannot_be_imported_is_named(folder, text, message):
    (folder / "json.py").write_text("")
    with pytest.raises(ValueError, match=message):
        import_extensions(text)


def test_faults_of_a_module_are_its_own(folder):
    (folder / "faulty_5.py").write_text("import absent_6")
    for text in ("faulty_5", "faulty_5.py"):
        with pytest.raises(ModuleNotFoundError, match="absent_6"):
            import_extensions(text)
        assert missing_extensions(text) == text


def test_two_registered_names_alike_are_an_error():
    registry = {"there": 1}
    with pytest.raises(ValueError, match="There is a loss 'there' already. Register yours under"):
        add_name(registry, "loss", "there", 2)
    add_name(registry, "loss", "there", 2, replace=True)
    add_name(registry, "loss", "mine.v-2", 3)
    assert registry == {"there": 2, "mine.v-2": 3}
    for name in ("", "two words", "a:b", "a,b", "2", None):
        with pytest.raises(ValueError, match="is no name of a loss"):
            add_name(registry, "loss", name, 4)

"""Flag files and recipes are found from any folder."""

import pytest
from absl import flags as absl_flags

from flags.flag_files import expand, recipe_names
from tools.python_imports import REPOSITORY

SETTINGS = ["--a=1", "--flagfile=other.flags", "  ", "# --c=3", "// --d=4"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.flags").write_text("\n".join(SETTINGS))
    (tmp_path / "other.flags").write_text("--b=2\n")
    (tmp_path / "notepad.flags").write_text("# mine\n--b=2\n", encoding="utf-8-sig")


@pytest.mark.parametrize(
    "arguments",
    [["--flagfile=mine.flags"], ["-flagfile", "mine.flags"], ["--flagfile=./mine.flags"]],
)
def test_as_absl_expands_them(arguments):
    everything = ["--before", *arguments, "--after=5"]
    expected = absl_flags.FlagValues().read_flags_from_files(everything)
    assert expand(everything) == expected == ["--before", "--a=1", "--b=2", "--after=5"]


def test_what_stands_after_two_dashes_is_left():
    assert expand(["--x", "--", "--flagfile=mine.flags"]) == ["--x", "--", "--flagfile=mine.flags"]


def test_a_recipe_is_found_by_name_with_what_it_includes(tmp_path, monkeypatch):
    names = ["wider_r50_acf_feature_level", "dual_stream/scenes_dual_stream"]
    for name in names:
        found = [expand([f"--flagfile={form}"]) for form in (name, f"{name}.flags")]
        found.append(expand([f"--flagfile=flags/recipes/{name}.flags"]))
        monkeypatch.chdir(REPOSITORY)
        path = f"--flagfile=flags/recipes/{name}.flags"
        expected = absl_flags.FlagValues().read_flags_from_files([path])
        monkeypatch.chdir(tmp_path)
        assert found == [expected] * 3
        assert len(expected) > 5 and name in recipe_names()


def test_a_file_comes_before_a_recipe_of_its_name(tmp_path):
    (tmp_path / "table_acf").write_text("--mine\n")
    assert expand(["--flagfile=table_acf"]) == ["--mine"]


def test_a_folder_of_its_name_does_not_hide_a_recipe(tmp_path):
    expected = expand(["--flagfile=table_acf"])
    (tmp_path / "table_acf").mkdir()
    assert expand(["--flagfile=table_acf"]) == expected


def test_a_byte_order_mark_is_no_argument():
    assert expand(["--flagfile=notepad.flags"]) == ["--b=2"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--flagfile=table_afc", "nor a recipe has this name. Did you mean the recipe table_acf"),
        ("--flagfile", "--flagfile needs the name of a file"),
        ("--flagfile=.", "neither a file nor a recipe has this name"),
        ("--flagfile=loop.flags", "Flag file 'loop.flags' includes itself"),
        ("--flagfile=bytes.flags", "Unable to read --flagfile: 'utf-8'"),
    ],
)
def test_what_cannot_be_read_is_named(argument, message, tmp_path):
    (tmp_path / "loop.flags").write_text("--flagfile=loop.flags\n")
    (tmp_path / "bytes.flags").write_bytes(b"--a=\xff\n")
    with pytest.raises(absl_flags.Error, match=message):
        expand([argument])


def test_a_name_too_long_for_a_flag_is_refused_by_its_beginning():
    with pytest.raises(absl_flags.UnrecognizedFlagError, match="Unknown command line flag 'xxx"):
        expand(["--epochs=3", "--" + "x" * 5000 + "=1"])
    assert expand(["--epochs=" + "3" * 5000]) == ["--epochs=" + "3" * 5000]

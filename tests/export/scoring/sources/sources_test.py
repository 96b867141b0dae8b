"""What a scoring job finds to score, and in which order."""

import io
import os
import sys

import pyarrow
import pytest
from pyarrow import parquet

from export.scoring.sources.input import ScoringInput, Source
from export.scoring.sources.open_source import open_source


def make_files(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def images_of(source):
    rows = list(source.read())
    assert len(rows) == source.count
    return [row.image for row in rows]


def test_a_folder_is_read_recursively_and_sorted(tmp_path):
    make_files(tmp_path, "b/2.jpg", "a.PNG", "b/1.webp", "c.gif", "notes.txt", "b/labels.json")
    source = open_source(str(tmp_path))
    expected = sorted(str(tmp_path / name) for name in ("a.PNG", "b/1.webp", "b/2.jpg", "c.gif"))
    assert images_of(source) == expected
    assert source.left_out == 2


def test_links_are_followed_but_not_in_circles(tmp_path):
    make_files(tmp_path, "photos/a.jpg", "elsewhere/b.jpg")
    (tmp_path / "photos" / "circle").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "linked").symlink_to(tmp_path / "elsewhere")
    found = images_of(open_source(str(tmp_path / "photos")))
    assert [os.path.relpath(path, tmp_path / "photos") for path in found] == [
        "a.jpg",
        "linked/b.jpg",
    ]


@pytest.mark.parametrize("pattern", ["", "**/*.jpg"])
def test_a_folder_is_read_once_however_many_links_lead_to_it(tmp_path, pattern):
    for level in range(9):
        (tmp_path / str(level)).mkdir()
        for name in ("left", "right"):
            (tmp_path / str(level) / name).symlink_to(tmp_path / str(level + 1))
    make_files(tmp_path, "9/a.jpg")
    start = os.path.join(tmp_path, "0")
    assert images_of(open_source(os.path.join(start, pattern))) == [
        os.path.join(start, *["left"] * 9, "a.jpg")
    ]
    # Inside one tree the folder itself comes before all links to it.
    images = images_of(open_source(os.path.join(tmp_path, pattern)))
    assert images == [str(tmp_path / "9" / "a.jpg")]


def test_a_link_to_nowhere_is_still_a_row(tmp_path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert images_of(open_source(str(tmp_path))) == [str(tmp_path / "gone.jpg")]


def test_a_single_file_needs_no_suffix(tmp_path):
    make_files(tmp_path, "photo")
    assert images_of(open_source(str(tmp_path / "photo"))) == [str(tmp_path / "photo")]


def test_a_glob_is_sorted_and_may_be_recursive(tmp_path):
    make_files(tmp_path, "b.jpg", "a.jpg", "c.png", "deep/d.jpg")
    found = images_of(open_source(str(tmp_path / "**" / "*.jpg")))
    assert found == sorted(str(tmp_path / name) for name in ("a.jpg", "b.jpg", "deep/d.jpg"))


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path):
    make_files(tmp_path, "a[1].jpg", "a1.jpg")
    assert images_of(open_source(str(tmp_path / "a[1].jpg"))) == [str(tmp_path / "a[1].jpg")]


def test_csv_keeps_paths_as_given_and_resolves_them_beside_the_list(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text('image,other\nsub/a.jpg,1\n"with, comma.jpg",2\n/abs/b.jpg,3\nsub/a.jpg,4\n')
    rows = list(open_source(str(path)).read())
    given = ["sub/a.jpg", "with, comma.jpg", "/abs/b.jpg", "sub/a.jpg"]
    assert [row.image for row in rows] == given
    assert rows[0].path == str(tmp_path / "sub/a.jpg")
    assert rows[2].path == "/abs/b.jpg"


def test_image_root_moves_relative_paths(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("a.jpg\n\nspace in name.jpg\n")
    rows = list(open_source(str(path), image_root="/photos").read())
    assert [row.path for row in rows] == ["/photos/a.jpg", "/photos/space in name.jpg"]


def test_boxes_of_csv_and_parquet_are_equal(tmp_path):
    (tmp_path / "list.csv").write_text("image,x,y,w,h\na.jpg,1,2.5,3,4\nb.jpg,,,,\n")
    columns = {"image": ["a.jpg", "b.jpg"]}
    columns |= {"x": [1.0, None], "y": [2.5, None], "w": [3.0, None], "h": [4.0, None]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "list.parquet")
    expected = [
        ScoringInput("a.jpg", str(tmp_path / "a.jpg"), (1.0, 2.5, 3.0, 4.0)),
        ScoringInput("b.jpg", str(tmp_path / "b.jpg"), None),
    ]
    for name in ("list.csv", "list.parquet"):
        source = open_source(str(tmp_path / name))
        assert source.has_boxes
        assert list(source.read()) == expected


def test_bad_rows_of_a_list_stay_rows_and_say_where(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("other,image,x,y,w,h\n1,a.jpg,1,2,3,4\n2,,1,2,3,4\n3,c.jpg,1,x,3,4\n4\n")
    rows = list(open_source(str(path)).read())
    assert [row.image for row in rows] == ["a.jpg", "", "c.jpg", ""]
    assert rows[0].problem is None
    assert "line 3" in rows[1].problem and "no path" in rows[1].problem
    assert "line 4" in rows[2].problem and "four numbers" in rows[2].problem
    assert "line 5" in rows[3].problem


def test_a_comma_without_quotes_is_no_shorter_path(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text('image\na,b.jpg\n"c,d.jpg"\ne.jpg,,\n')
    first, second, third = open_source(str(path)).read()
    assert third.problem is None and third.image == "e.jpg"
    assert "line 2: more fields than columns" in first.problem and first.image == "a"
    assert second.problem is None and second.image == "c,d.jpg"


def test_a_carriage_return_ends_no_line_of_a_text_list(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"a\rb.jpg\r\nc.jpg\n")
    assert [row.image for row in open_source(str(tmp_path / "list.txt")).read()] == [
        "a\rb.jpg",
        "c.jpg",
    ]


def test_a_glob_gives_rows_to_what_is_no_regular_file(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.jpg").symlink_to("nowhere")
    os.mkfifo(tmp_path / "c.jpg")
    (tmp_path / "d.jpg").mkdir()
    rows = [os.path.basename(row.path) for row in open_source(str(tmp_path / "*.jpg")).read()]
    assert rows == ["a.jpg", "b.jpg", "c.jpg"]


def test_a_very_deep_folder(tmp_path):
    folders = [str(tmp_path)]
    for _ in range(1100):  # More than Python's calls may be deep.
        folders.append(f"{folders[-1]}/d")
        os.mkdir(folders[-1])
    image = f"{folders[-1]}/a.jpg"
    open(image, "x").close()
    try:
        assert [row.image for row in open_source(str(tmp_path)).read()] == [image]
    finally:
        os.remove(image)
        for folder in reversed(folders[1:]):
            os.rmdir(folder)


def test_a_closed_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match="reads paths from the standard input, which is closed"):
        open_source("-")


def test_a_damaged_parquet_list_is_named(tmp_path):
    path = tmp_path / "list.parquet"
    names = [f"photos/{number}.jpg" for number in range(5000)]
    parquet.write_table(pyarrow.table({"image": names}), path, use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[100:2000] = bytes(1900)
    path.write_bytes(data)
    with pytest.raises(ValueError, match="list.parquet' is no Parquet file that can be read"):
        open_source(str(path))


def test_names_that_are_not_utf8_survive_a_text_list(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"caf\xe9.jpg\n")
    (row,) = open_source(str(tmp_path / "list.txt")).read()
    assert os.fsencode(row.image) == b"caf\xe9.jpg"


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("list.csv", "path,label\na.jpg,1\n", "no column image. Its columns are: path, label"),
        ("list.csv", "image,x,y\na.jpg,1,2\n", "without the columns w, h"),
        ("list.csv", "image\n", "holds no images"),
        ("list.csv", "", "no column image"),
        ("list.txt", "\n\n", "holds no images"),
        ("list.csv", 'image\na.jpg\n"b.jpg\nc.jpg\n', "after line 2: .* A quote not closed"),
        ("list.csv", '"image\n' + "a.jpg\n" * 40_000, "no CSV after line .* A quote not closed"),
        ("list.csv", '"image\n' + "a.jpg\n" * 400, "no CSV after line .* A quote not closed"),
        ("list.csv", "image " * 1000, "^.{0,400}$"),
        ("list.parquet", "no parquet", "no Parquet file"),
        ("photos.tar.gz", "", "is a compressed tar. Decompress it first"),
    ],
)
def test_unusable_lists(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        open_source(str(tmp_path / name))


def test_parquet_paths_must_be_strings(tmp_path):
    parquet.write_table(pyarrow.table({"image": [1, 2]}), tmp_path / "list.parquet")
    with pytest.raises(ValueError, match="must hold strings, it holds int64"):
        open_source(str(tmp_path / "list.parquet"))


def test_nothing_there(tmp_path):
    with pytest.raises(ValueError, match="No file, folder or glob"):
        open_source(str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="holds no images"):
        open_source(str(tmp_path / "*.jpg"))
    make_files(tmp_path, "notes.txt")
    with pytest.raises(ValueError, match="1 files in it have none of the suffixes"):
        open_source(str(tmp_path))


def test_an_unreadable_folder_is_an_error(tmp_path, monkeypatch):
    make_files(tmp_path, "a.jpg", "locked/b.jpg")
    scandir = os.scandir

    def deny(folder):
        if folder.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    # Permissions do not stop the root user, under whom tests may run.
    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(ValueError, match="locked.*cannot be read: Permission denied"):
        open_source(str(tmp_path))


def test_a_recursive_glob_looks_only_where_it_leads(tmp_path, monkeypatch):
    names = ["photos1/a.jpg", "photos1/deep/b.jpg", "photos2/c.jpg", "other/d.jpg", "photos3.jpg"]
    make_files(tmp_path, *names)
    (tmp_path / "photos0").symlink_to(tmp_path / "photos2")
    scandir, read = os.scandir, set()

    def record(folder):
        read.add(os.path.relpath(folder, tmp_path))
        return scandir(folder)

    monkeypatch.chdir(tmp_path)
    for start in ("", f"{tmp_path}/"):
        with monkeypatch.context() as patch:
            patch.setattr("export.scoring.sources.recursive_glob.os.scandir", record)
            found = images_of(open_source(f"{start}photos?/**/*.jpg"))
        # A folder under its own path, also where a link to it comes first.
        assert found == [f"{start}{name}" for name in names[:3]]
    assert "other" not in read and {"photos1", "photos2"} < read
    assert images_of(open_source("**/deep/*.jpg")) == ["photos1/deep/b.jpg"]
    assert images_of(open_source("**")) == sorted(names)


def test_where_relative_paths_start_is_told_without_passwords(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def start_of(start, *paths):
        return Source.survey(lambda: (ScoringInput(path, path) for path in paths), start).start

    assert start_of("", "a.png") == start_of("", "/b.png", "a.png") == str(tmp_path)
    assert start_of("", "/b.png", "s3://bucket/c.png") == ""
    assert start_of("photos", "a.png") == str(tmp_path / "photos")
    url = "https://me:secret@host/photos?signature=secret"
    assert start_of(url, "a.png") == "https://host/photos"


def test_standard_input_is_a_list_of_lines(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"b c.jpg\n\n/abs/caf\xe9.jpg\n")))
    source = open_source("-")
    rows = list(source.read())
    assert source.count == 2
    assert [row.path for row in rows] == ["b c.jpg", "/abs/caf\udce9.jpg"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    with pytest.raises(ValueError, match="'-' holds no images"):
        open_source("-")


def test_line_breaks_in_paths_survive_csv_and_folders(tmp_path):
    make_files(tmp_path, "two\nlines.jpg", "caf\udce9.jpg", " a b .jpg")
    expected = sorted(
        str(tmp_path / name) for name in ("two\nlines.jpg", "caf\udce9.jpg", " a b .jpg")
    )
    assert images_of(open_source(str(tmp_path))) == expected
    (tmp_path / "list.csv").write_text('image\n"two\nlines.jpg"\n')
    assert images_of(open_source(str(tmp_path / "list.csv"))) == ["two\nlines.jpg"]


def test_the_hash_of_a_list_is_that_of_its_rows_in_order(tmp_path):
    hashes = {
        open_source(str(_list(tmp_path, text))).sha256
        for text in (
            "image\na\nb\n",
            "image\nb\na\n",
            "image\na\n",
            "image,x,y,w,h\na,1,2,3,4\nb,,,,\n",
        )
    }
    assert len(hashes) == 4
    again = open_source(str(_list(tmp_path, "image,other\na,1\nb,2\n"))).sha256
    assert again == open_source(str(_list(tmp_path, "image\na\nb\n"))).sha256


def _list(folder, text):
    (folder / "rows.csv").write_text(text)
    return folder / "rows.csv"

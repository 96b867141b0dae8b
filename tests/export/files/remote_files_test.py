"""Local files by any of their names, without the package that knows of storages."""

import pytest

from export.files import remote_files


@pytest.mark.parametrize("protocol", ["", "file://", "local://"])
def test_local_files_need_no_storage(tmp_path, monkeypatch, protocol):
    monkeypatch.delattr(remote_files, "open_storage")
    folder = f"{protocol}{tmp_path}/parts"
    assert remote_files.list_folder(folder) == []
    remote_files.make_folder(folder)
    remote_files.write_file(f"{folder}/1", b"one")
    assert remote_files.list_folder(folder) == ["1"]
    assert remote_files.read_file(f"{folder}/1") == (tmp_path / "parts/1").read_bytes() == b"one"

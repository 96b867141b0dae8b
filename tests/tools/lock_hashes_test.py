"""requirements_lock.txt has the hash of every pin."""

import re

import pytest

from tools import lock_hashes
from tools.update_build import LOCK_FILE, locked_hashes, pins

UPDATE = "Run `python -m tools.lock_hashes`."
SHA256 = "0123456789abcdef" * 4


def entry(name, version, **download):
    return {"metadata": {"name": name, "version": version}, "download_info": download}


def test_every_pin_has_its_hash():
    assert lock_hashes.missing_pins() == [], UPDATE
    assert set(locked_hashes()) == set(pins()), UPDATE
    assert all(re.fullmatch(r"[0-9a-f]{64}", each) for each in locked_hashes().values())
    lines = LOCK_FILE.read_text(encoding="utf-8").splitlines()
    assert all("--hash=sha256:" in line for line in lines if line and not line.startswith("#"))


def test_hashes_come_from_pips_report_whatever_the_spelling_of_names():
    report = {
        "install": [
            entry("Markup_Safe", "1.0", archive_info={"hashes": {"sha256": SHA256}}),
            entry("other", "2", archive_info={"hashes": {"sha256": "f" * 64}}),
        ]
    }
    assert lock_hashes.hashes_in(report, ["markup-safe==1.0"]) == {"markup-safe==1.0": SHA256}


@pytest.mark.parametrize("version, download", [("2.0", {}), ("1.0", {}), ("1.0", {"url": "x"})])
def test_a_pin_without_hash_is_named(version, download):
    report = {"install": [entry("a", version, **download)]}
    with pytest.raises(ValueError, match="no SHA-256 of a==1.0"):
        lock_hashes.hashes_in(report, ["a==1.0"])

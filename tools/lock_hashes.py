"""Adds the hashes of new pins to requirements_lock.txt, as the package index gives them.

    python -m tools.lock_hashes

The files are those that pip chooses here, and none is downloaded where the index serves metadata:
`pip install --require-hashes -r requirements_lock.txt` then works for this Python and platform, and
refuses any other bytes. Needs the index; tools/update_build.py, which needs none, keeps the hashes.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools.update_build import LOCK_FILE, lock_text, locked_hashes, pins


def missing_pins() -> list[str]:
    """Pins without a hash."""
    known = locked_hashes()
    return [pin for pin in pins() if pin not in known]


def report_of(wanted: list[str]) -> Mapping[str, Any]:
    """What pip would install for some pins, as its installation report.

    Raises:
        subprocess.CalledProcessError: a pin cannot be found, or the index not be reached.
    """
    with tempfile.TemporaryDirectory() as folder:
        requirements, report = Path(folder, "pins.txt"), Path(folder, "report.json")
        requirements.write_text("\n".join(wanted), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        command += ["--no-deps", "--quiet", "--report", str(report), "-r", str(requirements)]
        subprocess.run(command, check=True)
        return json.loads(report.read_text(encoding="utf-8"))


def hashes_in(report: Mapping[str, Any], wanted: list[str]) -> dict[str, str]:
    """Pin -> SHA-256 of its file, from an installation report.

    Raises:
        ValueError: the report lacks a pin, or its hash.
    """
    found = {}
    for entry in report["install"]:
        name, version = entry["metadata"]["name"], entry["metadata"]["version"]
        sha256 = entry["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        found[_normalised(name), version] = sha256
    hashes = {}
    for pin in wanted:
        name, version = pin.split("==")
        if not (sha256 := found.get((_normalised(name), version))):
            raise ValueError(f"pip's report has no SHA-256 of {pin}. Expected one of a file.")
        hashes[pin] = sha256
    return hashes


def _normalised(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def main() -> None:
    wanted = missing_pins()
    hashes = hashes_in(report_of(wanted), wanted) if wanted else {}
    LOCK_FILE.write_text(lock_text(locked_hashes() | hashes), encoding="utf-8")
    print(f"{LOCK_FILE.name}: {len(wanted)} new hashes, {len(pins())} pins.")


if __name__ == "__main__":
    main()

"""What was scored: for each row its content, and the run that scored it; a SQLite file.

    scores/scored.ledger/ledger.sqlite    the tables `runs` and `scored`
                         lock             held by the job that uses it

A ledger changes in one transaction, after the output of a run is in its place. So a job that is
killed at any moment leaves it as it was, and the same command scores or records the same rows.
"""

import contextlib
import dataclasses
import datetime
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from export.files.folder_lock import lock_folder
from export.scoring.sources.input import ScoringInput

LEDGER_FILE = "ledger.sqlite"
_APPLICATION = 0x56414353  # How SQLite files tell whose they are.
_VERSION = 1
_TABLES = """
    CREATE TABLE runs (
        run INTEGER PRIMARY KEY, settings TEXT NOT NULL, output TEXT NOT NULL,
        finished TEXT NOT NULL
    );
    CREATE TABLE scored (
        image BLOB NOT NULL, box TEXT NOT NULL, content BLOB NOT NULL, run INTEGER NOT NULL,
        PRIMARY KEY (image, box)
    ) WITHOUT ROWID;
"""
_SEEN = """
    CREATE TEMP TABLE seen (image BLOB, box TEXT, times INTEGER, PRIMARY KEY (image, box))
    WITHOUT ROWID
"""


class LedgerError(ValueError):
    """A ledger that cannot be used; the message says which, why and what to do."""


@dataclasses.dataclass(frozen=True)
class KnownRow:
    """How a row was scored last.

    Attributes:
        content: SHA-256 of the picture, 32 bytes; `failed_content` of it where it got no scores.
        settings: Of its run, as JSON.
    """

    content: bytes
    settings: str


class Ledger:
    """The rows that were scored; made by `open_ledger`, which holds its lock.

    Args:
        connection: The SQLite file.
        folder: Its folder, for messages.
    """

    def __init__(self, connection: sqlite3.Connection, folder: str):
        self._connection = connection
        self._folder = folder

    def repeat_of(self, scoring_input: ScoringInput) -> int:
        """Which of the members of its name in a tar an input is, from 0, by the calls so far.

        `tar -r` leaves the older members of a name where they are.
        """
        if scoring_input.member is None:
            return 0
        key = _key(scoring_input, 0)
        found = self._connection.execute(
            "SELECT times FROM seen WHERE image = ? AND box = ?", key
        ).fetchone()
        times = found[0] if found else 0
        self._connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", (*key, times + 1))
        return times

    def find(self, scoring_input: ScoringInput, repeat: int = 0) -> KnownRow | None:
        """How the row of an input was scored last; None: never."""
        found = self._connection.execute(
            "SELECT content, settings FROM scored JOIN runs USING (run)"
            " WHERE image = ? AND box = ?",
            _key(scoring_input, repeat),
        ).fetchone()
        return KnownRow(*found) if found else None

    def record(
        self, settings: str, output: str, rows: Iterable[tuple[ScoringInput, int, bytes]]
    ) -> None:
        """Adds the rows of a run, or replaces what is known of them; all or nothing.

        Args:
            settings: What decides the values of its rows, as JSON.
            output: The file that holds them.
            rows: Each with its `repeat_of` and its content, as `KnownRow` has it.

        Raises:
            LedgerError: when it cannot be written.
        """
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with _named_errors(self._folder), _transaction(self._connection):
            run = self._connection.execute(
                "INSERT INTO runs (settings, output, finished) VALUES (?, ?, ?)",
                (settings, os.fsencode(output).decode(errors="backslashreplace"), now),
            ).lastrowid
            self._connection.executemany(
                "INSERT OR REPLACE INTO scored (image, box, content, run) VALUES (?, ?, ?, ?)",
                ((*_key(given, repeat), content, run) for given, repeat, content in rows),
            )


@contextlib.contextmanager
def open_ledger(folder: str) -> Iterator[Ledger]:
    """The ledger of a folder, made where it is missing, for one job at a time.

    Raises:
        LedgerError: when the folder cannot be written, or its file is damaged, of another program
            or of a later version.
        ValueError: when another job uses it.
    """
    with contextlib.ExitStack() as stack:
        try:
            os.makedirs(folder, exist_ok=True)
            stack.enter_context(lock_folder(folder, "uses this ledger", "--ledger"))
        except OSError as error:
            raise LedgerError(
                f"The ledger {folder!r} cannot be written: {error.strerror}. Name a folder that can"
                " be with --ledger."
            ) from error
        connection = stack.enter_context(contextlib.closing(_connect(folder)))
        with _named_errors(folder):
            _prepare(connection, folder)
            connection.execute(_SEEN)
        yield Ledger(connection, folder)


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as the text by which a ledger compares them."""
    return json.dumps(dict(settings), sort_keys=True)


def failed_content(sha256: bytes) -> bytes:
    """What is recorded of a picture that got no scores: no later one has this content."""
    return b"no scores " + sha256


def _key(scoring_input: ScoringInput, repeat: int) -> tuple[bytes, str]:
    # Bytes: names of files need not be UTF-8, which a text of SQLite has to be.
    box = "" if scoring_input.box is None else json.dumps(list(scoring_input.box))
    return os.fsencode(scoring_input.image), f"{box}#{repeat}" if repeat else box


def _connect(folder: str) -> sqlite3.Connection:
    with _named_errors(folder):
        # Transactions begin where the code says so.
        return sqlite3.connect(os.path.join(folder, LEDGER_FILE), isolation_level=None)


def _prepare(connection: sqlite3.Connection, folder: str) -> None:
    """Makes the tables of an empty file, or checks that these are a ledger's."""
    (application,), (version,) = (
        connection.execute(f"PRAGMA {name}").fetchone()
        for name in ("application_id", "user_version")
    )
    has_tables = connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    if not has_tables:
        with _transaction(connection):
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        return
    path = os.path.join(folder, LEDGER_FILE)
    if application != _APPLICATION:
        raise LedgerError(
            f"{path!r} is a SQLite file of another program. Give the folder of a ledger that"
            " score.py --only_new made, or a new one, with --ledger."
        )
    if version > _VERSION:
        raise LedgerError(
            f"{path!r} has version {version}, this program reads up to {_VERSION}. Use the score.py"
            " that wrote it."
        )
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@contextlib.contextmanager
def _named_errors(folder: str) -> Iterator[None]:
    """Turns what SQLite raises into an error that says what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        # A full disk, a file that is read only, another program that holds it.
        raise LedgerError(
            f"The ledger {os.path.join(folder, LEDGER_FILE)!r} cannot be used: {error}. Outputs"
            " that are finished are kept; mend the cause and repeat the command."
        ) from error
    except sqlite3.DatabaseError as error:
        raise LedgerError(
            f"The ledger {os.path.join(folder, LEDGER_FILE)!r} is damaged: {error}. Restore it, or"
            " remove it to score all images anew."
        ) from error

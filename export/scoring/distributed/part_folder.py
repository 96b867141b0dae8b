"""The output of a distributed job: a folder of Parquet files, on local or remote storage.

    scores/part-000000.parquet    rows in input order, the parts of the local scorer
           part-000001.parquet
           _job/job.json          the settings that all parts share
                part-000000.json  number of rows by status and hash, written after the part
           _manifest.json         written last: all parts are there

Readers of Parquet folders (pyarrow, Spark, DuckDB) leave out names that begin with `_`.
"""

import concurrent.futures
import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from export.files.atomic_file import to_json
from export.files.folder_lock import lock_folder
from export.files.remote_files import is_url, list_folder, make_folder, read_file, write_file
from export.scoring.engine.job_record import Job, parse_job

_READERS = 16  # A read from remote storage is mostly waiting.
_RECORD = re.compile(r"part-(\d{6,})\.json")


class PartFolder:
    """Finished parts by number; every node writes its own.

    Attributes:
        url: The folder, a path or a URL.
    """

    def __init__(self, url: str):
        self.url = url.rstrip("/")

    def part(self, number: int) -> str:
        """The Parquet file of a part."""
        return f"{self.url}/part-{number:06}.parquet"

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Keeps other jobs out while the body runs; object storage has no locks."""
        make_folder(f"{self.url}/_job")
        local = self.url.removeprefix("file://")
        return contextlib.nullcontext() if is_url(local) else lock_folder(f"{local}/_job")

    def start_or_continue(self, job: Job) -> None:
        """Makes the folder that of `job`, or checks that it is.

        Raises:
            ValueError: when it holds parts of another job, or files that are none.
        """
        names = list_folder(self.url)
        if "_manifest.json" not in names and "job.json" not in list_folder(f"{self.url}/_job"):
            if other := [name for name in names if name != "_job"]:
                raise ValueError(
                    f"The output {self.url!r} holds files of no job, such as {other[0]!r}. Give"
                    " --output a new folder."
                )
            self._write("_job/job.json", job.to_json())
            return
        job_file = f"{self.url}/_job/job.json"
        if what := job.differences(parse_job(read_file(job_file), job_file)):
            raise ValueError(
                f"{self.url!r} holds the parts of another job: {'; '.join(what)}. Repeat the"
                " earlier command to finish that job, or give --output another folder."
            )

    def finished(self) -> dict[int, dict[str, Any]]:
        """The records of the finished parts by number; one that its part does not fit is none.

        Reads all of them, several at a time: a part may have lost its end when a node or its
        disk died.
        """
        matches = filter(None, map(_RECORD.fullmatch, list_folder(f"{self.url}/_job")))
        numbers = [int(match[1]) for match in matches]
        with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
            records = zip(numbers, pool.map(self._whole_record, numbers), strict=True)
            return {number: record for number, record in records if record is not None}

    def _whole_record(self, number: int) -> dict[str, Any] | None:
        try:
            record = json.loads(read_file(self._record(number)))
            digest = hashlib.sha256(read_file(self.part(number))).hexdigest()
            return record if record["sha256"] == digest else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None  # Lost or broken: the part is done again.

    def write_part(self, number: int, data: bytes, record: Mapping[str, Any]) -> None:
        """Stores a part and then its record. The same part may be stored twice."""
        write_file(self.part(number), data)
        sha256 = hashlib.sha256(data).hexdigest()
        write_file(self._record(number), to_json({**record, "sha256": sha256}))

    def _record(self, number: int) -> str:
        return f"{self.url}/_job/part-{number:06}.json"

    def finish(self, job: Job, counts: Mapping[str, int]) -> None:
        """Says that all parts are there."""
        self._write("_manifest.json", {"counts": dict(sorted(counts.items())), **job.to_json()})

    def _write(self, name: str, value: Any) -> None:
        write_file(f"{self.url}/{name}", to_json(value))

"""The raw results of a study: one JSON file per row and seed, and one per failure."""

import dataclasses
import json
import os
from pathlib import Path

from experiments.study_runner.plan import Row, Study
from vac_tf.runs.atomic_file import write_atomically

_FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class Results:
    """The folder of a study's raw results."""

    folder: Path

    def file(self, row: Row, seed: int) -> Path:
        return self.folder / f"{row.key}_seed{seed}.json"

    def failure_file(self, row: Row, seed: int) -> Path:
        return self.folder / _FAILED / f"{row.key}_seed{seed}.json"

    def write(self, row: Row, seed: int, result: dict) -> None:
        """Writes a result whole or not at all, and forgets an earlier failure."""
        _write(self.file(row, seed), result)
        self.failure_file(row, seed).unlink(missing_ok=True)

    def write_failure(self, row: Row, seed: int, failure: dict) -> None:
        _write(self.failure_file(row, seed), failure)

    def read(self, study: Study) -> dict[str, list[dict]]:
        """The finished results of every row in the order of its seeds; [] where there is none.

        Raises:
            ValueError: a damaged file, or one that was made with other flags than the study file
                has now.
        """
        return {
            row.key: [
                self._read(study, row, seed) for seed in row.seeds if self.file(row, seed).exists()
            ]
            for row in study.rows.values()
        }

    def failures(self, study: Study) -> list[dict]:
        """What is noted of every row and seed that failed and has not finished since."""
        paths = [
            self.failure_file(row, seed)
            for row in study.rows.values()
            for seed in row.seeds
            if not self.file(row, seed).exists()
        ]
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]

    def _read(self, study: Study, row: Row, seed: int) -> dict:
        path = self.file(row, seed)
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            flags = result["flags"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is damaged ({error!r}): restore it, or delete it to train that row again."
            ) from error
        wanted = study.all_flags(row, seed)
        different = sorted(set(flags) ^ set(wanted))
        if different:
            raise ValueError(
                f"{path} was made with other flags than {study.file} has now: {different}. Give"
                " the changed row another key, or delete the file to train it again."
            )
        return result


def _write(path: Path, content: dict) -> None:
    os.makedirs(path.parent, exist_ok=True)
    # A line per field, its value on that line: readable, and draws do not fill thousands of lines.
    lines = [
        f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False, allow_nan=False)}"
        for name, value in content.items()
    ]
    write_atomically(str(path), ("{\n" + ",\n".join(lines) + "\n}\n").encode())

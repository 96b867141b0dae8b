"""The raw results of a study: one JSON file per row and seed, of a failure and a refusal, too."""

import dataclasses
import json
import os
from pathlib import Path

from experiments.study_runner.plan import Row, Study
from vac_tf.runs.atomic_file import write_atomically

_FAILED = "failed"
_REFUSED = "refused"


@dataclasses.dataclass(frozen=True)
class Results:
    """The folder of a study's raw results."""

    folder: Path

    def file(self, row: Row, seed: int) -> Path:
        return self.folder / f"{row.key}_seed{seed}.json"

    def failure_file(self, row: Row, seed: int) -> Path:
        return self.folder / _FAILED / f"{row.key}_seed{seed}.json"

    def refusal_file(self, row: Row, seed: int) -> Path:
        return self.folder / _REFUSED / f"{row.key}_seed{seed}.json"

    def is_done(self, row: Row, seed: int) -> bool:
        """Whether there is a result, or an average that was refused: trying again changes none."""
        return self.file(row, seed).exists() or self.refusal_file(row, seed).exists()

    def write(self, row: Row, seed: int, result: dict) -> None:
        """Writes a result whole or not at all, and forgets an earlier failure or refusal."""
        _write(self.file(row, seed), result)
        self.failure_file(row, seed).unlink(missing_ok=True)
        self.refusal_file(row, seed).unlink(missing_ok=True)

    def write_failure(self, row: Row, seed: int, failure: dict) -> None:
        _write(self.failure_file(row, seed), failure)

    def write_refusal(self, row: Row, seed: int, refusal: dict) -> None:
        """Notes an average that was no better than its networks, and forgets a failure."""
        _write(self.refusal_file(row, seed), refusal)
        self.failure_file(row, seed).unlink(missing_ok=True)

    def read(self, study: Study) -> dict[str, list[dict]]:
        """The finished results of every row in the order of its seeds; [] where there is none.

        Raises:
            ValueError: a damaged file, or one that was made with other flags than the study file
                has now.
        """
        return {
            row.key: [
                _read(study, row, seed, path)
                for seed in row.seeds
                if (path := self.file(row, seed)).exists()
            ]
            for row in study.rows.values()
        }

    def failures(self, study: Study) -> list[dict]:
        """What is noted of every row and seed that failed and has not finished since."""
        paths = [
            self.failure_file(row, seed)
            for row in study.rows.values()
            for seed in row.seeds
            if not self.is_done(row, seed)
        ]
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]

    def refusals(self, study: Study) -> list[dict]:
        """What is noted of every row and seed that was refused and has no result.

        Raises:
            ValueError: as `read`.
        """
        return [
            _read(study, row, seed, path)
            for row in study.rows.values()
            for seed in row.seeds
            if (path := self.refusal_file(row, seed)).exists() and not self.file(row, seed).exists()
        ]


def _read(study: Study, row: Row, seed: int, path: Path) -> dict:
    """A result or a refusal, where it is of the flags that the study file has now."""
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

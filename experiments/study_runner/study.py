"""A study and its folder: raw results in, report out."""

import contextlib
import fcntl
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.study_runner.cost import Cost, estimated_cost
from experiments.study_runner.figures import draw_differences
from experiments.study_runner.plan import read_study
from experiments.study_runner.report import read_page, replace_between_marks, report
from experiments.study_runner.results import Results
from experiments.study_runner.running import Places, run_study
from experiments.study_runner.summary import summarize, summary_json
from vac_tf.runs.atomic_file import write_atomically


class StudyFolder:
    """A study with the folder NAME, which holds `results/`, `summary.json` and figures.

    Args:
        study_file: the TOML file; its name without the suffix is the study's.
        studies: the folder that holds NAME.
        keys: the rows to run; none: all.

    Raises:
        ValueError: as `read_study`, or a key of no row.
    """

    def __init__(self, study_file: str, studies: Path, keys: Sequence[str] = ()):
        self.study = read_study(study_file)
        self.keys = keys
        unknown = sorted(set(keys) - set(self.study.rows))
        if unknown:
            raise ValueError(f"No row {unknown} in {study_file}; rows: {[*self.study.rows]}.")
        self.folder = studies / self.study.name
        self.results = Results(self.folder / "results")

    def cost(self) -> Cost:
        return estimated_cost(self.study, self.results, self.keys)

    def run(self, data_root: Path, runs_dir: Path, page: Path) -> list[str]:
        """Runs what is missing, and writes the report after every row; what failed.

        Raises:
            ValueError: there is no data or no page, or the page lacks the study's marks.
        """
        for name in {self.study.data, *(row.data for row in self.study.rows.values())}:
            if not (data_root / name).is_dir():
                raise ValueError(f"There is no folder {name!r} in {data_root}: give --data_root.")
        self.write_report(page)
        places = Places(data_root.absolute(), (runs_dir / self.study.name).absolute())
        finished = functools.partial(self.write_report, page)
        return run_study(self.study, places, self.results, finished, self.keys)

    def write_report(self, page: Path) -> dict:
        """Writes `summary.json`, the figure and the part of the page; returns the summary.

        Raises:
            ValueError: there is no such page, or it lacks the study's marks.
        """
        read_page(page, self.study.name)
        with _alone(page.parent):  # Other studies write into the same page.
            return self._write_report(page)

    def _write_report(self, page: Path) -> dict:
        summary = summarize(self.study, self.results.read(self.study))
        os.makedirs(self.folder, exist_ok=True)
        figures = []
        if summary["comparisons"]:
            figure = self.folder / "differences.png"
            draw_differences(summary, str(figure))
            figures.append(os.path.relpath(figure, page.parent))
        results, study = self.results, self.study
        part = report(study, summary, results.failures(study), results.refusals(study), figures)
        text = replace_between_marks(read_page(page, self.study.name), self.study.name, part)
        write_atomically(str(self.folder / "summary.json"), summary_json(summary).encode())
        write_atomically(str(page), text.encode())
        return summary


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Waits until no other process holds the folder, then holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

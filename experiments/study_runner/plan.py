"""A study file: which rows are trained with which flags, and what is said of them."""

import dataclasses
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.study_runner.checks import check_fields, check_names
from flags import dataclass_flags
from vac_tf.averaging.config import AveragingConfig
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.configs.saliency import SaliencyConfig

_KEY = re.compile(r"[a-z0-9_]+")
_PROGRAMS = {
    "train.py": TrainConfig,
    "train_saliency.py": SaliencyConfig,
    "average_runs.py": AveragingConfig,
}
# Field of a file -> the types of its value in TOML.
_STUDY_TYPES = {
    **dict.fromkeys(("title", "question", "data"), str),
    **dict.fromkeys(("shared", "evaluation", "rows"), dict),
    **dict.fromkeys(("tables", "choices", "comparisons", "seeds"), list),
    "training_images": int,
    "seconds_per_row": (int, float),
}
_ROW_TYPES = {
    **dict.fromkeys(("name", "program", "evaluated", "data", "run_of"), str),
    **dict.fromkeys(("needs", "seeds"), list),
    **dict.fromkeys(("flags", "evaluation"), dict),
    **dict.fromkeys(("seed_offset", "training_images"), int),
    "analyze": bool,
}
_FLAG_TYPES = (str, int, float, bool)


@dataclasses.dataclass(frozen=True)
class Row:
    """One row: a training per seed.

    Attributes:
        key: names its files; lower-case letters, digits, underscores.
        name: in tables.
        flags: of its program, over the shared ones (train.py's alone share); text may hold
            `{runs_dir}` and `{seed}`.
        seeds: one training each.
        program: train.py; train_saliency.py, whose run others start from: it is not evaluated; or
            average_runs.py, whose flags name the runs.
        run_of: key of the row whose run is evaluated again; nothing is trained.
        evaluation: flags of evaluate.py, over those of the study.
        seed_offset: what the training adds to the seed: so rows of one seed are other draws.
        evaluated: folder inside the run folder that is evaluated; "" for the run itself.
        analyze: whether analyze.py measures where it looks (coco and scenes only).
        needs: keys of rows that are trained before it, seed by seed.
        data: folder of its data where it is not the study's; such a row is compared with none.
        training_images: of its own data, for the estimate of the cost; 0: the study's.
    """

    key: str
    name: str
    flags: dict[str, Any] = dataclasses.field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    program: str = "train.py"
    evaluated: str = ""
    analyze: bool = False
    needs: tuple[str, ...] = ()
    data: str = ""
    run_of: str = ""
    evaluation: dict[str, Any] = dataclasses.field(default_factory=dict)
    seed_offset: int = 0
    training_images: int = 0

    @property
    def is_trained(self) -> bool:
        """Whether a training makes its run, and no other run or average does."""
        return not self.run_of and self.program != "average_runs.py"

    @property
    def is_evaluated(self) -> bool:
        return self.program != "train_saliency.py"


@dataclasses.dataclass(frozen=True)
class Study:
    """What a study file says; see `docs/study.md` for the fields."""

    name: str
    file: str
    title: str
    question: str
    data: str
    seeds: tuple[int, ...]
    training_images: int
    seconds_per_row: float
    shared: dict[str, Any]
    evaluation: dict[str, Any]
    rows: dict[str, Row]
    tables: tuple[dict, ...] = ()
    choices: tuple[dict, ...] = ()
    comparisons: tuple[dict, ...] = ()

    def train_flags(self, row: Row, seed: int) -> list[str]:
        """Flags of the row's program that decide its result, with its placeholders."""
        shared = self.shared if row.program == "train.py" else {}
        seeds = {"seed": seed + row.seed_offset} if row.is_trained else {}
        return as_flags(shared | row.flags | seeds)

    def all_flags(self, row: Row, seed: int) -> list[str]:
        """What decides a row's result: how its run and those it needs are made, and evaluated."""
        told = self._made(row, seed)
        if row.is_evaluated:
            told += [f"evaluation {flag}" for flag in as_flags(self.evaluation | row.evaluation)]
        return told

    def _made(self, row: Row, seed: int) -> list[str]:
        told = [] if row.run_of else self.train_flags(row, seed)
        names = ("program", "evaluated", "run_of")
        told += [f"{name}: {value}" for name in names if (value := getattr(row, name))]
        told.append(f"data: {row.data or self.data}")
        for key in filter(None, (*row.needs, row.run_of)):
            told += [f"{key} {each}" for each in self._made(self.rows[key], seed)]
        return told


def as_flags(values: dict[str, Any]) -> list[str]:
    """`--name=value` of every value, in the order given; true and false as absl has them."""
    return [f"--{name}={_as_text(value)}" for name, value in values.items()]


def read_study(path: str) -> Study:
    """Reads and checks a study file; nothing is trained before all of it is right.

    Raises:
        ValueError: not TOML, a field or flag that does not exist or has a wrong value, or a row
            that is named but not there; the file and the row are named.
    """
    file = Path(path)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a study file (TOML): {error}.") from error
    try:
        study = _study(file, content)
        check_names(study)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return study


def _study(file: Path, content: dict) -> Study:
    check_fields(content, _STUDY_TYPES, "the study")
    missing = {"title", "data", "seeds", "training_images", "rows"} - set(content)
    if missing:
        raise ValueError(f"{', '.join(sorted(missing))} missing; see docs/study.md.")
    seeds = _seeds(content["seeds"], "the study")
    rows = {key: _row(key, values, seeds) for key, values in content["rows"].items()}
    listed = {name: tuple(content.get(name, ())) for name in ("tables", "choices", "comparisons")}
    study = Study(
        file.stem,
        str(file),
        content["title"],
        content.get("question", ""),
        content["data"],
        seeds,
        content["training_images"],
        float(content.get("seconds_per_row", 0.0)),
        dict(content.get("shared", {})),
        dict(content.get("evaluation", {})),
        rows,
        **listed,
    )
    for row in rows.values():
        _check_flags(study, row)
    _parse(EvaluationConfig, [*as_flags(study.evaluation), "--run_dir=run"], "evaluation")
    return study


def _row(key: str, values: dict, seeds: tuple[int, ...]) -> Row:
    if not _KEY.fullmatch(key):
        raise ValueError(f"row {key!r}: a key has lower-case letters, digits and underscores only.")
    check_fields(values, _ROW_TYPES, f"row {key!r}")
    row = Row(key, **({"name": key} | values))
    if row.program not in _PROGRAMS:
        raise ValueError(f"row {key!r}: program {row.program!r}. Expected one of: {[*_PROGRAMS]}.")
    return dataclasses.replace(
        row, seeds=_seeds(values["seeds"], f"row {key!r}") if "seeds" in values else seeds
    )


def _check_flags(study: Study, row: Row) -> None:
    """Every flag of every row, as its program would take it."""
    where = f"row {row.key!r}"
    flags = study.shared | row.flags
    wrong = {name: value for name, value in flags.items() if not isinstance(value, _FLAG_TYPES)}
    if wrong:
        raise ValueError(f"{where}: a flag is a text, a number or true or false, got {wrong}.")
    given = {"run_dir", "data_dir", "seed"} & set(flags)
    if given:
        raise ValueError(f"{where}: {', '.join(sorted(given))} is given by the study itself.")
    places = ["--run_dir=run", "--data_dir=data"]
    if row.evaluation:
        flags = as_flags(study.evaluation | row.evaluation)
        _parse(EvaluationConfig, [*flags, places[0]], where)
    if row.run_of and (row.flags or row.program != "train.py"):
        raise ValueError(f"{where}: run_of trains nothing: leave flags and program out.")
    if row.analyze and (study.evaluation | row.evaluation).get("tta"):
        raise ValueError(f"{where}: analyze looks at one view: leave it or tta out.")
    if row.run_of:
        return
    config = _parse(_PROGRAMS[row.program], [*study.train_flags(row, 0), *places], where)
    if row.is_evaluated:
        _check_draws(study, row, config, where)


def _check_draws(study: Study, row: Row, config, where: str) -> None:
    """Draws know one convention: a value and its interval must not be of different metrics."""
    evaluation = {"average_precision": "step"} | study.evaluation | row.evaluation
    unknown = evaluation.get("unknown_labels") or getattr(config, "unknown_labels", "ignore")
    asked = {
        "average_precision": (evaluation["average_precision"], "step"),
        "unknown_labels": (unknown, "ignore"),
        "label_groups": (getattr(config, "label_groups", ""), ""),
    }
    for name, (got, expected) in asked.items():
        if got != expected:
            raise ValueError(
                f"{where}: {name} is {got!r}, but the intervals of a study are those of"
                f" {name}={expected!r}."
            )


def train_config(study: Study, row: Row):
    """The config that a row trains with, its folders apart."""
    flags = [*study.train_flags(row, 0), "--run_dir=run", "--data_dir=data"]
    return _parse(_PROGRAMS[row.program], flags, f"row {row.key!r}")


def _parse(config_class, flags: Sequence[str], where: str):
    try:
        return dataclass_flags.parse_arguments(config_class, flags)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _seeds(values, where: str) -> tuple[int, ...]:
    is_list = isinstance(values, list) and values
    if not is_list or not all(type(value) is int and value >= 0 for value in values):
        raise ValueError(f"{where}: seeds must be a list of whole numbers from 0, got {values!r}.")
    return tuple(dict.fromkeys(values))


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

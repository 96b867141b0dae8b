"""What a study file must hold besides flags: fields of the right type, rows that are there."""

from collections.abc import Sequence
from typing import Any

# Lists of a study file -> the fields of their entries: type, and whether it may be left out.
_LISTS = {
    "choices": {"key": (str, False), "name": (str, False), "rows": (list, False)},
    "tables": {"title": (str, False), "rows": (list, False)},
    "comparisons": {"baseline": (str, False), "rows": (list, False), "by_label": (bool, True)},
}


def check_names(study) -> None:
    """Raises ValueError for a name of no row, for rows in a circle and for wrong entries."""
    for name, fields in _LISTS.items():
        for entry in getattr(study, name):
            _check_entry(entry, fields, name)
    rows = set(study.rows)
    for row in study.rows.values():
        _check_needed(study, row)
    names = set(rows)
    for choice in study.choices:
        where = f"choice {choice['key']!r}"
        _check_rows(choice["rows"], rows, where)
        again = [key for key in choice["rows"] if study.rows[key].run_of]
        if again or choice["key"] in names:
            wrong = f"{again} evaluate a run again" if again else "its key is another row's"
            raise ValueError(f"{where}: {wrong}. The held-out images tell trainings apart.")
        names.add(choice["key"])
    for table in study.tables:
        _check_rows(table["rows"], names, f"table {table['title']!r}")
    for comparison in study.comparisons:
        _check_rows((comparison["baseline"], *comparison["rows"]), names, "comparisons")
        _check_rows(comparison["rows"], names, "comparisons")


def _check_needed(study, row) -> None:
    where = f"row {row.key!r} needs"
    needed = (*row.needs, row.run_of) if row.run_of else row.needs
    if needed:
        _check_rows(needed, set(study.rows), where)
    if row.run_of and study.rows[row.run_of].run_of:
        raise ValueError(f"{where} {row.run_of!r}, which has no run of its own: name its run_of.")
    reached, waiting = set(), list(needed)
    while waiting:
        key = waiting.pop()
        if key == row.key:
            raise ValueError(f"{where} itself, directly or through {sorted(reached)}.")
        if key in study.rows and key not in reached:
            reached.add(key)
            other = study.rows[key]
            waiting += [*other.needs, *filter(None, [other.run_of])]


def _check_rows(rows: Sequence[str], known: set[str], where: str) -> None:
    unknown = [row for row in rows if row not in known]
    if unknown or not rows:
        raise ValueError(f"{where}: no row {unknown or 'at all'}. There are: {sorted(known)}.")


def _check_entry(entry: Any, fields: dict, where: str) -> None:
    check_fields(entry, {name: kind for name, (kind, _) in fields.items()}, where)
    missing = [name for name, (_, is_optional) in fields.items() if not is_optional]
    missing = [name for name in missing if name not in entry]
    if missing:
        raise ValueError(f"{where}: {', '.join(missing)} missing in {entry}.")
    rows = entry["rows"]
    if not all(isinstance(row, str) for row in rows):
        raise ValueError(f"{where}: rows are keys of rows, got {rows}.")


def check_fields(values: Any, types: dict, where: str) -> None:
    """Raises ValueError for what is no table of these fields, each of its type or types."""
    if not isinstance(values, dict):
        raise ValueError(f"{where} must be a table of fields, got {values!r}.")
    unknown = sorted(set(values) - set(types))
    if unknown:
        raise ValueError(f"{where}: unknown field {unknown}. Expected some of: {sorted(types)}.")
    for name, value in values.items():
        if not isinstance(value, types[name]):
            raise ValueError(f"{where}: {name} has the wrong type, got {value!r}.")

"""Label groups as a user gives them: a TOML file, or the names of the labels."""

import contextlib
import tomllib
from collections.abc import Iterator, Sequence

from vac_tf.configs.label_groups.group import LabelGroup, groups_of_names

# In place of a file: labels are called `group:label`, or `group?:label` in one of at most one.
BY_NAMES = "names"
_KINDS = {"exactly_one": False, "at_most_one": True}


def read_label_groups(setting: str, label_names: Sequence[str]) -> tuple[LabelGroup, ...]:
    """The groups that the setting `label_groups` asks for.

    Args:
        setting: "" (none); a TOML file with a table `exactly_one`, a table `at_most_one` or both,
            in which a list of labels stands behind the name of each group; or "names": what stands
            before the first colon of a label's name is its group, of exactly one label, or of at
            most one where a question mark stands before the colon.
        label_names: L names, in the order of the network's outputs.

    Raises:
        ValueError: no such file, no TOML, other content, or groups that cannot be.
    """
    if not setting:
        return ()
    if setting == BY_NAMES:
        return _groups_by_names(label_names)
    with _naming(setting):
        return groups_of_names(_read_file(setting), label_names)


def check_label_groups(setting: str) -> None:
    """Raises ValueError for a file that cannot be read as label groups, whatever the labels are."""
    if setting and setting != BY_NAMES:
        with _naming(setting):
            _read_file(setting)


@contextlib.contextmanager
def _naming(setting: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"label_groups {setting!r}: {error}") from error


def _read_file(path: str) -> list[tuple[str, list[str], bool]]:
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ValueError(
            f"{error.strerror}. Expected a TOML file, or {BY_NAMES!r} where labels are called"
            " group:label."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not valid TOML ({error}).") from error
    other = sorted(set(content) - set(_KINDS))
    if other or not any(content.values()):
        raise ValueError(
            f"it holds {other or 'no group'}. Expected a table [exactly_one] or [at_most_one], and"
            ' in it a line per group, such as age = ["child", "adult"].'
        )
    named = []
    for kind, groups in content.items():
        if not isinstance(groups, dict):
            raise ValueError(f"{kind} must be a table ([{kind}] on a line of its own).")
        for name, labels in groups.items():
            if not isinstance(labels, list) or not all(isinstance(each, str) for each in labels):
                raise ValueError(f"group {name!r} must be a list of labels, got {labels!r}.")
            named.append((name, labels, _KINDS[kind]))
    return named


def _groups_by_names(label_names: Sequence[str]) -> tuple[LabelGroup, ...]:
    members: dict[str, list[str]] = {}
    for label in label_names:
        group, colon, rest = label.partition(":")
        if colon and group.strip("? ") and rest.strip():
            members.setdefault(group, []).append(label)
    if not members:
        raise ValueError(
            f"label_groups is {BY_NAMES!r}, but no label is called group:label. Labels:"
            f" {', '.join(label_names)}. Name the columns so, or give a file (docs/training.md)."
        )
    named = [(group.rstrip("?"), labels, group.endswith("?")) for group, labels in members.items()]
    return groups_of_names(named, label_names)

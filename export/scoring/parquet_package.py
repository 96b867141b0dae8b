"""Whether Parquet can be read and written here: pyarrow, larger than all else, is optional."""

import importlib.util


def is_installed() -> bool:
    """Whether pyarrow is there; it is not imported."""
    return importlib.util.find_spec("pyarrow") is not None


def require_for(path: str) -> None:
    """Checks that a Parquet file can be read or written.

    Raises:
        ValueError: pyarrow is not installed.
    """
    if not is_installed():
        raise ValueError(
            f"{path!r} needs pyarrow, which is not installed: pip install pyarrow, or use a file"
            " of CSV (.csv) or JSON Lines (.jsonl)."
        )

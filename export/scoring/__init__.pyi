# What editors, type checkers and the reference see of the names that are loaded at their first use.
from export.scoring.inference.model import load as load

__all__ = ["load"]

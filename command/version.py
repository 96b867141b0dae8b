"""The version of both distributions, which pyproject.toml reads here."""

VERSION = "0.1.0"

"""Flags of score.py that contradict each other."""

import pytest

from export.scoring.config import ScoringConfig

PATHS = {"model": "m.onnx", "images": "photos", "output": "scores.csv"}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"doctor": True, "describe": True}, "--doctor and --describe"),
        ({"describe": True, "benchmark": True}, "--describe and --benchmark"),
        ({"benchmark": True, "merge": True}, "--benchmark and --merge"),
        ({"merge": True, "retry_errors": "all"}, "--merge and --retry_errors"),
        ({"doctor": True, "retry_errors": "all"}, "--doctor and --retry_errors"),
        ({"merge": True, "shard": "1/2"}, "--merge does not go with --shard"),
        ({"benchmark": True, "shard": "1/2"}, "--benchmark does not go with --shard"),
        ({"retry_errors": "all", "shard": "1/2"}, "--retry_errors does not go with --shard"),
        ({"retry_errors": "all", "overwrite": True}, "--retry_errors .* with --overwrite"),
        ({"describe": True, "overwrite": True}, "--describe does not go with --overwrite"),
        ({"benchmark": True, "engine": "ray"}, "--benchmark does not go with --engine=ray"),
        ({"describe": True, "engine": "ray"}, "--describe does not go with --engine=ray"),
        ({"doctor": True, "engine": "ray"}, "--doctor does not go with --engine=ray"),
    ],
)
def test_contradictory_modes_are_refused(changes, message):
    with pytest.raises(ValueError, match=f"{message}.*Give (one|only)"):
        ScoringConfig(**(PATHS | changes))

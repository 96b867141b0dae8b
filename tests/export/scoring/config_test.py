"""Flags of score.py that contradict each other."""

import pytest
from absl import flags as absl_flags

from export.scoring.config import ScoringConfig
from flags import scoring
from flags.program import UsageError

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


def parse(*arguments):
    values = absl_flags.FlagValues()
    scoring.define(values)
    values(["score.py", *(f"--{name}={value}" for name, value in PATHS.items()), *arguments])
    return scoring.to_config(values)


def test_a_shard_that_cannot_be_is_a_fault_of_the_flags():
    with pytest.raises(UsageError, match="--shard must be i/n .* got '4/3'"):
        parse("--shard=4/3")


def test_the_old_spelling_of_the_rows_of_a_part_still_works_and_says_so(caplog):
    assert parse("--rows_per_part=7").rows_per_part == 7 and not caplog.messages
    assert parse("--rows_per_shard=7").rows_per_part == 7
    assert caplog.messages == [
        "--rows_per_shard is now called --rows_per_part: it is the rows of a part."
    ]

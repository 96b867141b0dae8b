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


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"devices": "gpu"}, "--devices must be all .*, or cpu:N .* got 'gpu'"),
        ({"devices": "0,"}, "--devices must be all"),
        ({"devices": "-1"}, "--devices must be all"),
        ({"devices": "cpu:0"}, "--devices must be all"),
        ({"devices": "0,2,0,2"}, "names GPU 0, 2 twice.*Name each once"),
        ({"devices": "all", "providers": "cpu"}, "asks for GPUs, --providers=cpu for none.*cpu:N"),
        ({"devices": "0", "providers": "cpu"}, "asks for GPUs"),
        ({"devices": "cpu:1", "providers": "cuda"}, "for workers on the CPU, --providers=cuda"),
        ({"devices": "cpu:99999"}, "more workers than the cores .* which are [0-9]+. Give cpu:"),
        ({"devices": "all", "engine": "ray"}, "--engine=ray does not go with --devices"),
    ],
)
def test_devices_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ScoringConfig(**(PATHS | changes))


def test_devices_that_can_be():
    fitting = [("0", "auto"), ("1,0", "tensorrt"), ("all", "cuda"), ("cpu:1", "cpu")]
    for devices, providers in fitting:
        assert ScoringConfig(**PATHS, devices=devices, providers=providers).devices == devices


@pytest.mark.parametrize(
    "name, value, owner",
    [
        ("ledger", "days", {"only_new": True}),
        ("uncertain_by", "stability", {"send_uncertain": 2}),
        ("image_prefix", "https://host/", {"send_uncertain": 2}),
        ("image_prefix", "https://host/", {"convert": "label_studio"}),
        ("heatmap_labels", "cat", {"heatmaps": "peaks"}),
        ("heatmap_margin", 0.1, {"heatmaps": "overlays"}),
        ("metrics_host", "0.0.0.0", {"metrics_port": 9100}),
        ("benchmark_images", 32, {"benchmark": True}),
        ("memory_limit_mb", 512, {"benchmark": True}),
        ("ray_address", "auto", {"engine": "ray"}),
        ("ray_actors", 3, {"engine": "ray"}),
        ("ray_cpus_per_actor", 2.0, {"engine": "ray"}),
        ("ray_gpus_per_actor", 1.0, {"engine": "ray"}),
    ],
)
def test_a_flag_that_does_nothing_without_another_is_refused(name, value, owner):
    assert getattr(ScoringConfig(**(PATHS | owner), **{name: value}), name) == value
    (needed,) = owner
    with pytest.raises(ValueError, match=f"^--{name} does nothing without .*--{needed}.*Give both"):
        ScoringConfig(**PATHS, **{name: value})


def test_image_prefix_is_of_label_studio_alone():
    with pytest.raises(ValueError, match="--image_prefix does nothing"):
        ScoringConfig(**PATHS, convert="fiftyone", image_prefix="https://host/")


def parse(*arguments):
    values = absl_flags.FlagValues()
    scoring.define(values)
    values(["score.py", *(f"--{name}={value}" for name, value in PATHS.items()), *arguments])
    return scoring.to_config(values)


def test_a_shard_that_cannot_be_is_a_fault_of_the_flags():
    with pytest.raises(UsageError, match="--shard must be i/n .* got '4/3'"):
        parse("--shard=4/3")


def test_devices_are_a_fault_of_the_flags():
    with pytest.raises(UsageError, match="names GPU 1 twice"):
        parse("--devices=1,1")


def test_the_old_spelling_of_the_rows_of_a_part_still_works_and_says_so(caplog):
    assert parse("--rows_per_part=7").rows_per_part == 7 and not caplog.messages
    assert parse("--rows_per_shard=7").rows_per_part == 7
    assert caplog.messages == [
        "--rows_per_shard is now called --rows_per_part: it is the rows of a part."
    ]

"""Settings that no network can work with are refused before a run folder is claimed."""

import os

import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.runs.folder import RunFolder
from vac_tf.training.dual_stream.phases import phase_config
from vac_tf.training.method_check import check_method
from vac_tf.training.run import run
from vac_tf.training.saliency.run import run_saliency


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"image_size": 1}, "image_size 1 is less than one heatmap cell of backbone 'small'"),
        ({"image_size": 15}, "is less than one heatmap cell .* of 16 pixels"),
        ({"image_size": 31, "backbone": "resnet50"}, "is less than one .* of 32 pixels"),
        ({"transforms": "scale:1"}, "scale:1 is less than one heatmap cell of backbone 'small'"),
        ({"augment": "scale:1"}, "scale:1 is less than one heatmap cell"),
        ({"transforms": "scale:100000"}, "scale:100000 .* at most 8192"),
        ({"transforms": "hflip,scale:64", "image_size": 64}, "scale:64 changes nothing"),
        ({"augment": "scale:64", "image_size": 64}, "scale:64 changes nothing"),
        ({"transforms": "translate:0:0"}, "translate:0:0 changes nothing"),
        ({"warmup_epochs": 1e9}, "warmup_epochs 1e.09 is longer than the run of 10 epochs"),
        ({"backbone_weights": "imagenet"}, "no ImageNet weights for backbone 'small'"),
        ({"backbone_weights": "absent.keras"}, "'absent.keras' not found. Expected 'imagenet'"),
        ({"consistency_ramp": 10.5}, "consistency_ramp 10.5 is longer than the run of 10 epochs"),
        ({"sampled_transform": True}, "needs pairs='star' and two transforms at least, got"),
        (
            {"sampled_transform": True, "transforms": "hflip,scale:64", "pairs": "grid"},
            "needs pairs='star'.* got pairs 'grid' and .'hflip', 'scale:64'.",
        ),
        (
            {"sampled_transform": True, "transforms": "hflip,scale:64"}
            | {"strategy": "mirrored", "synchronized_batch_norm": True},
            "synchronized_batch_norm: not with sampled_transform",
        ),
        ({"transforms": "splice:1"}, "at least 2 cells a side, got 1"),
        ({"augment": "splice:2"}, "shows several images, with the labels of all; put it into"),
        (
            {"transforms": "splice:2", "consistency_level": "logits"},
            "splice:2 shows several images in one.*'heatmaps' or 'features'",
        ),
        ({"consistency_target": "ema_teacher"}, "ema_decay 0 keeps none; add --ema_decay"),
        (
            {"consistency_form": "acvc", "consistency_level": "logits"},
            "'acvc' does not fit consistency_level 'logits': it compares heatmaps. .*sigmoid_cells",
        ),
    ],
)
def test_what_leaves_nothing_to_learn_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        check_method(TrainConfig(run_dir="run", **changes))


OF_COCO = {"dataset": "coco", "data_dir": "coco"}
PAPER = {"paper_protocol": True}


@pytest.mark.parametrize(
    "settings, idle, other",
    [
        ({}, {"cache_content": "inputs"}, {"cache": "memory"}),
        ({}, {"cache_dir": "kept"}, {"cache": "disk"}),
        ({"cache": "memory"}, {"cache_dir": "kept"}, {"cache": "disk"}),
        ({}, {"augment_mode": "union"}, {"augment": "hflip"}),
        ({}, {"synchronized_batch_norm": True}, {"strategy": "mirrored"}),
        (OF_COCO | PAPER, {"validation_fraction": 0.1}, {"paper_protocol": False}),
        (OF_COCO, {"label_columns": "cat,dog"}, {"dataset": "hf"}),
        (OF_COCO, {"ignore_columns": "width"}, {"dataset": "table"}),
        (OF_COCO, {"repeated_images": "error"}, {"dataset": "table"}),
        (OF_COCO, {"label_separator": ";"}, {"dataset": "table"}),
        (OF_COCO, {"rap_partition": 2}, {"dataset": "rap"}),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(settings, idle, other, tmp_path):
    settings = {"run_dir": str(tmp_path / "run")} | settings | idle
    ((name, _),) = idle.items()
    ((needed, value),) = other.items()
    with pytest.raises(ValueError, match=f"{name} .*{value if needed == 'dataset' else needed}"):
        check_method(TrainConfig(**settings))
    check_method(TrainConfig(**settings | other))


def test_a_run_that_began_with_settings_that_do_nothing_is_read_and_goes_on(tmp_path):
    """Earlier versions took them."""
    idle = OF_COCO | PAPER | {"validation_fraction": 0.1, "label_columns": "cat"}
    config = TrainConfig(run_dir=str(tmp_path / "run"), **idle, synchronized_batch_norm=True)
    folder = RunFolder(config.run_dir)
    folder.claim(config)
    assert folder.read_config() == config
    with pytest.raises(ValueError, match="label_columns is a setting of"):
        check_method(config)
    os.mkdir(os.path.dirname(folder.state_file))
    open(folder.state_file, "wb").close()
    check_method(config)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"image_size": 1}, "image_size 1 is less than one heatmap cell"),
        ({"warmup_epochs": 11.0}, "warmup_epochs 11 is longer than the run of 10 epochs"),
        ({"backbone_weights": "absent.keras"}, "'absent.keras' not found"),
        ({"cache_content": "inputs"}, "cache_content 'inputs' does nothing without --cache"),
    ],
)
def test_a_saliency_training_is_checked_before_its_folder_is_claimed(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        run_saliency(SaliencyConfig(run_dir=str(tmp_path / "run"), **changes))
    assert not (tmp_path / "run").exists()


def test_the_smallest_and_largest_sizes_are_allowed():
    for changes in (
        {"image_size": 16},
        {"image_size": 32, "backbone": "resnet50"},
        {"transforms": "scale:16"},
        {"image_size": 8192, "transforms": "scale:4096"},
        {"warmup_epochs": 10.0},
        {"consistency_ramp": 10.0},
        {"sampled_transform": True, "transforms": "hflip,scale:64"},
        {"consistency_target": "ema_teacher", "ema_decay": 0.5},
    ):
        check_method(TrainConfig(run_dir="run", **changes))


def test_a_step_beyond_the_memory_claims_no_folder(tmp_path, tiny_backbone, monkeypatch):
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 64}.get)
    config = TrainConfig(
        run_dir=str(tmp_path / "run"),
        data_dir=str(tmp_path),
        scenes_train_images=8,
        scenes_image_size=32,
        backbone=tiny_backbone,
        image_size=64,
        batch_size=100,
        epochs=1,
    )
    message = "8 images of 64x64 pixels take 0.000366 GiB, .* has 0.000244 GiB.*--batch_size"
    with pytest.raises(ValueError, match=message):
        run(config)
    assert not (tmp_path / "run").exists()


def test_the_phases_of_a_dual_stream_training_share_a_cache_where_there_is_one():
    for cache, folder in (("disk", os.path.join("run", "image_cache")), ("none", "")):
        config = TrainConfig(run_dir="run", model="dual_stream", cache=cache)
        phases = [phase_config(config, phase) for phase in ("1a", "1b", "2", "3")]
        assert {phase.cache_dir for phase in phases} == {folder}
        check_method(phases[0])

"""Cross-validation: who has seen what, and that the same call continues."""

import dataclasses
import json

import numpy as np
import pyarrow.parquet
import pytest

from tests.export.encoded_images import encode, photograph
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.cross_validation.results import format_summary
from vac_tf.cross_validation.run import cross_validate
from vac_tf.datasets.held_out import fold_numbers
from vac_tf.datasets.run_splits import OUT_OF_FOLD, read_named_split, read_run_splits
from vac_tf.evaluation.classification import evaluate
from vac_tf.metrics import evaluate_logits
from vac_tf.training.check_data import check_data
from vac_tf.training.run import run
from vac_tf.training.run_data import check_folds

FOLDS = 3


@pytest.fixture
def config(tiny_settings, tiny_backbone, tmp_path):
    return TrainConfig(
        run_dir=str(tmp_path / "run"),
        **tiny_settings | {"epochs": 1, "transforms": "", "ema_decay": 0.0},
        backbone=tiny_backbone,
        validation_fraction=0.25,
        folds=FOLDS,
    )


def test_every_image_is_scored_once_by_a_network_that_has_not_seen_it(config):
    calls = []

    def train(of_fold):
        calls.append(of_fold.fold)
        if calls == [0, 1]:
            raise KeyboardInterrupt
        return run(of_fold)

    with pytest.raises(KeyboardInterrupt):
        cross_validate(config, train)
    summary = cross_validate(config, train)
    assert calls == [0, 1, 0, 1, 2]

    table = pyarrow.parquet.read_table(f"{config.run_dir}/out_of_fold.parquet")
    names = json.loads(table.schema.metadata[b"label_names"])
    images, folds = table["image"].to_pylist(), table["fold"].to_numpy()
    whole = read_named_split(dataclasses.replace(config, folds=0), "train")
    assert sorted(images) == sorted(whole.image_paths) and names == list(whole.label_names)
    for fold in range(FOLDS):
        splits = read_run_splits(dataclasses.replace(config, fold=fold))
        seen = {*splits.train.image_paths, *splits.validation.image_paths}
        scored = {image for image, of in zip(images, folds, strict=True) if of == fold}
        assert len(scored) == 16 and seen == set(images) - scored

    logits = np.array(table["logits"].to_pylist(), np.float32)
    labels = np.array(table["labels"].to_pylist(), np.float32)
    expected = evaluate_logits(labels, logits, names)["label_based"]
    for name, value in summary["out_of_fold"].items():
        assert value == expected[name]
        low, high = summary["intervals"][name]
        assert low <= value <= high
    # A fold's run is a run like any other, and can be asked again.
    again = evaluate(
        EvaluationConfig(run_dir=f"{config.run_dir}/fold_1", split=OUT_OF_FOLD, report=False)
    )
    assert again["label_based"]["mAP"] == summary["folds"][1]["mAP"]
    assert again["conventions"]["images_trained_on"] == 0
    assert format_summary(summary).splitlines()[6].split()[:4] == ["out", "of", "fold", "48"]


def test_a_fold_that_cannot_select_is_named_before_any_is_trained(config, tmp_path, capsys):
    for number in range(12):
        picture = encode(photograph(8, 8, 3, seed=number), "PNG")
        (tmp_path / f"{number}.png").write_bytes(picture)

    def write(positive):
        rows = [f"{number}.png,{int(number == positive)}" for number in range(12)]
        (tmp_path / "train.csv").write_text("\n".join(["image,cat", *rows]) + "\n")

    config = dataclasses.replace(config, dataset="table", data_dir=str(tmp_path))
    write(positive=0)
    selecting = read_run_splits(dataclasses.replace(config, folds=0)).validation.image_paths[0]
    write(positive=int(selecting.rsplit("/")[-1].removesuffix(".png")))
    with pytest.raises(ValueError, match=r"Fold \d of 3: No label has both"):
        cross_validate(config, train=lambda of_fold: pytest.fail("trained"))
    assert check_data(dataclasses.replace(config, folds=0)) and not check_data(config)
    assert "A training would stop: Fold" in capsys.readouterr().out


def test_other_numbers_of_folds_are_refused(config):
    for changes in ({"folds": 1}, {"folds": 0, "fold": 0}, {"fold": 3}):
        with pytest.raises(ValueError, match="at least 2 folds"):
            dataclasses.replace(config, **changes)
    with pytest.raises(ValueError, match="trains classifiers on one host"):
        dataclasses.replace(config, model="dual_stream")
    with pytest.raises(ValueError, match="is a split of a run of one fold"):
        read_named_split(dataclasses.replace(config, folds=0), OUT_OF_FOLD)


@pytest.fixture
def broken_image(config, tmp_path):
    """Of 24 images of a table one is broken, and one missing."""
    for number in range(22):
        picture = encode(photograph(16, 16, 3, seed=number), "PNG")
        (tmp_path / f"{number}.png").write_bytes(picture)
    (tmp_path / "22.png").write_bytes(b"no image")
    rows = [f"{number}.png,{number % 2},{number // 2 % 2}" for number in range(24)]
    (tmp_path / "train.csv").write_text("\n".join(["image,cat,dog", *rows]) + "\n")
    return dataclasses.replace(config, dataset="table", data_dir=str(tmp_path), folds=2)


def test_images_that_training_leaves_out_are_left_out_of_the_scores(broken_image):
    config = dataclasses.replace(broken_image, skip_bad_images=True)
    cross_validate(config, run)
    table = pyarrow.parquet.read_table(f"{config.run_dir}/out_of_fold.parquet")
    assert len(set(table["image"].to_pylist())) == len(table) == 22


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batch_size": 16, "drop_remainder": True}, "12 training images do not fill one batch"),
        ({"batch_size": 8, "accumulate_steps": 8}, "has 4 images, fewer than the 8 parts"),
        ({"label_groups": "names"}, "No example of train has one label of the label group 'pet'"),
        ({"weight_column": "weight"}, "Every example of train has the weight 0"),
    ],
)
def test_what_a_fold_could_not_learn_is_said_before_any_is_trained(
    config, tmp_path, changes, message
):
    """Only the first fold's images have one pet alone, and a weight."""
    picture = encode(photograph(8, 8, 3), "PNG")
    for number in range(24):
        (tmp_path / f"{number}.png").write_bytes(picture)
    config = dataclasses.replace(config, dataset="table", data_dir=str(tmp_path))

    def write(folds):
        rows = [f"{n}.png,1,{int(fold > 0)},{n % 2},{int(fold == 0)}" for n, fold in folds]
        header = "image,pet:cat,pet:dog,odd,weight"
        (tmp_path / "train.csv").write_text("\n".join([header, *rows]) + "\n")

    write([(number, 0) for number in range(24)])
    config = dataclasses.replace(config, ignore_columns="weight", batch_size=4)
    whole = read_named_split(dataclasses.replace(config, folds=0), "train")
    write(enumerate(fold_numbers(whole, FOLDS, config.held_out_seed)))
    check_folds(config)
    if "weight_column" in changes:
        changes = changes | {"ignore_columns": ""}
    with pytest.raises(ValueError, match=f"Fold 1 of 3: .*{message}"):
        check_folds(dataclasses.replace(config, **changes))

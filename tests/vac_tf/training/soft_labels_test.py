"""Training on soft labels and weights: what batches hold, what weights mean, what is refused."""

import dataclasses

import keras
import numpy as np
import pytest

from tests.vac_tf.grouped_table import write_grouped_table
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.evaluation.classification import evaluate
from vac_tf.inputs.augmentation.mixing import mix_up
from vac_tf.inputs.augmentation.specification import AugmentLayers
from vac_tf.inputs.pipeline import Augmentation, TrainingBatches
from vac_tf.training.check_data import check_data
from vac_tf.training.method_check import check_method
from vac_tf.training.run import run
from vac_tf.training.run_data import read_run_data


@pytest.fixture
def config(tiny_backbone, tmp_path):
    folder = write_grouped_table(tmp_path)
    rewrite(folder, "train", lambda number, row: [row[0], "0.3", *row[2:], number % 3])
    return TrainConfig(
        run_dir=str(tmp_path / "run"),
        dataset="table",
        data_dir=str(folder),
        soft_labels=True,
        weight_column="weight",
        backbone=tiny_backbone,
        image_size=32,
        epochs=1,
        batch_size=8,
        transforms="hflip",
        loss="sigmoid_cross_entropy",
    )


def rewrite(folder, split, change):
    """Changes the rows of a table, which gets a column of weights."""
    path = folder / f"{split}.csv"
    header, *rows = path.read_text().splitlines()
    header = header if header.endswith(",weight") else f"{header},weight"
    rows = [change(number, row.split(",")) for number, row in enumerate(rows)]
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")


def test_batches_hold_soft_labels_and_weights_of_mean_one(config):
    data = read_run_data(config)
    batches = list(data.training.epoch(0))
    labels = np.concatenate([batch[1] for batch in batches])
    weights = np.concatenate([batch[2] for batch in batches])
    assert (labels[:, 0] == np.float32(0.3)).all()
    np.testing.assert_allclose(weights.mean(), 1.0, rtol=1e-6)
    assert sorted(set(weights.tolist())) == [0.0, 1.0, 2.0]
    assert data.positive_ratio[0] == pytest.approx(0.3)
    # The validation counts as the metrics do.
    assert set(np.unique(data.validation_labels)) == {0.0, 1.0}


def test_what_weighs_nothing_teaches_nothing(config, tmp_path):
    run(config)
    rewrite(
        tmp_path,
        "train",
        lambda number, row: [row[0], *(["0.9"] * 5 if number % 3 == 0 else row[1:6]), row[6]],
    )
    other = dataclasses.replace(config, run_dir=str(tmp_path / "other"))
    run(other)
    first, second = (
        keras.saving.load_model(f"{each.run_dir}/network.keras", compile=False).get_weights()
        for each in (config, other)
    )
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


def test_an_evaluation_and_the_check_say_how_soft_labels_count(config, capsys):
    assert check_data(config)
    assert "positive from 0.5 on" in capsys.readouterr().out
    run(config)
    settings = {"split": "test", "inconsistency": False, "report": False}
    results = evaluate(EvaluationConfig(run_dir=config.run_dir, **settings))
    assert results["conventions"]["soft_labels"] == "positive from 0.5 on"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": "folder"}, "soft_labels is a setting of --dataset=table"),
        (
            {"dataset": "jsonl", "soft_labels": False},
            "weight_column is a setting of --dataset=table",
        ),
        ({"augment_layers": "mixup:0.2"}, "weight_column does not go with augment_layers"),
    ],
)
def test_settings_that_do_not_fit_each_other(config, changes, said):
    with pytest.raises(ValueError, match=said):
        check_method(dataclasses.replace(config, **changes))


def test_weights_of_a_given_split_are_not_mixed_either():
    mixing = Augmentation(layers=AugmentLayers((), (mix_up(0.2),)))
    with pytest.raises(ValueError, match="leave mixup and cutmix out"):
        TrainingBatches(None, np.zeros((2, 1)), 2, 0, mixing, weights=np.ones(2, np.float32))


def test_weights_that_are_all_zero_are_refused(config, tmp_path):
    rewrite(tmp_path, "train", lambda number, row: [*row[:6], 0])
    with pytest.raises(ValueError, match="has the weight 0: nothing would be learnt"):
        read_run_data(config)

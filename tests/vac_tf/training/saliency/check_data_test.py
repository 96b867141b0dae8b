"""`--check_data` of saliency training: all that is wrong, named, without training."""

import dataclasses

import pytest

from tests.vac_tf.fixation_files import HEIGHT, random_looks, write_json
from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.datasets.split import DatasetError
from vac_tf.training.saliency.check_data import check_saliency_data


def test_clean_data(tmp_path, capsys):
    write_json(tmp_path, random_looks(5))
    write_json(tmp_path, random_looks(2, num_workers=3), split="val")
    assert check_saliency_data(SaliencyConfig(dataset="salicon", data_dir=str(tmp_path)))
    printed = capsys.readouterr().out
    assert "5 images (maps from fixations), 1 sizes (height x width): 48x64" in printed
    assert "fixations: 140, per image 28 to 28" in printed
    assert "observers per image: 3 to 3" in printed
    assert printed.count("0 rows rejected, 0 images unreadable.") == 2


def test_all_that_is_wrong(tmp_path, capsys):
    outside = (1, 99, [[HEIGHT + 1, 1]])
    write_json(tmp_path, [*random_looks(5), outside, outside], images=range(6))
    (tmp_path / "images" / "0002.png").write_bytes(b"no image")
    assert not check_saliency_data(SaliencyConfig(dataset="salicon", data_dir=str(tmp_path)))
    printed = capsys.readouterr().out
    assert "annotations[20]: fixation [49, 1] lies outside 0001.png" in printed
    assert "annotations[21]: worker 99 is listed twice" in printed
    assert "images[5]: there are no fixations on 0005.png" in printed
    assert "unreadable" in printed and "0002.png" in printed
    assert "3 rows rejected, 1 images unreadable." in printed
    assert "not used: No fixations_val*.json" in printed
    config = SaliencyConfig(dataset="salicon", data_dir=str(tmp_path), losses="kdl")
    assert not check_saliency_data(config)
    assert "A training would stop: losses 'kdl': unknown loss 'kdl'" in capsys.readouterr().out
    with pytest.raises(DatasetError, match="is no folder"):
        check_saliency_data(SaliencyConfig(dataset="salicon", data_dir=str(tmp_path / "absent")))


def test_a_split_that_could_not_be_evaluated_stops_a_training(tmp_path, capsys):
    write_json(tmp_path, random_looks(5))
    config = SaliencyConfig(dataset="salicon", data_dir=str(tmp_path))
    assert not check_saliency_data(config)
    printed = capsys.readouterr().out
    assert "A training would stop: No fixations_val*.json" in printed
    assert "name another one with --evaluation_split." in printed
    config = dataclasses.replace(config, evaluation_split="train")
    assert check_saliency_data(config)
    for changes, reason in (
        ({"batch_size": 64, "drop_remainder": True}, "do not fill one batch of 64"),
        ({"batch_size": 3, "accumulate_steps": 3}, "fewer than the 3 parts of --accumulate_steps"),
    ):
        assert not check_saliency_data(dataclasses.replace(config, **changes))
        assert reason in capsys.readouterr().out

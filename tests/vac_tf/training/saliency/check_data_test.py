"""`--check_data` of saliency training: all that is wrong, named, without training."""

import dataclasses
from pathlib import Path

import pytest

from tests.vac_tf.fixation_files import HEIGHT, random_looks, write_json
from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.datasets.split import DatasetError
from vac_tf.runs.folder import RunFolder
from vac_tf.training.saliency.check_data import check_saliency_data
from vac_tf.training.saliency.data import prepare_saliency_data, read_usable_splits


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
        ({"best_metric": "shuffled_auc"}, "shuffled_auc is undefined on 1 validation image"),
        ({"best_metric": "auc_judd", "target_size": 1}, "auc_judd is undefined"),
    ):
        assert not check_saliency_data(dataclasses.replace(config, **changes))
        assert reason in capsys.readouterr().out


def test_images_that_are_skipped_fill_no_batch(tmp_path, capsys):
    write_json(tmp_path, random_looks(5))
    config = SaliencyConfig(
        dataset="salicon",
        data_dir=str(tmp_path),
        evaluation_split="train",
        skip_bad_images=True,
        drop_remainder=True,
        batch_size=4,  # One of the images selects.
    )
    assert check_saliency_data(config)
    capsys.readouterr()
    trained_on = read_usable_splits(config).train.image_paths
    Path(trained_on[-1]).write_bytes(b"no image")
    assert not check_saliency_data(config)
    assert "do not fill one batch of 4" in capsys.readouterr().out


def test_a_run_that_began_with_other_fixations_would_stop(tmp_path, capsys):
    write_json(tmp_path, random_looks(5))
    config = SaliencyConfig(
        run_dir=str(tmp_path / "run"),
        dataset="salicon",
        data_dir=str(tmp_path),
        evaluation_split="train",
    )
    folder = RunFolder(config.run_dir)
    folder.claim(config)
    data = prepare_saliency_data(config, read_usable_splits(config))
    folder.write_json("saliency_data.json", data.description())
    state = Path(folder.state_file)
    state.parent.mkdir()
    state.write_bytes(b"")
    files = sorted(Path(config.run_dir).rglob("*"))
    assert check_saliency_data(config)
    write_json(tmp_path, random_looks(5, seed=9))
    capsys.readouterr()
    assert not check_saliency_data(config)
    assert "A training would stop: The fixations are not what they were" in capsys.readouterr().out
    assert sorted(Path(config.run_dir).rglob("*")) == files

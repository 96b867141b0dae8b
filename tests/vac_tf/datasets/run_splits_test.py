"""Which images a run trains on."""

import dataclasses

from vac_tf.configs.classification import TrainConfig
from vac_tf.datasets.run_splits import read_run_splits


def test_a_part_of_the_training_images_leaves_the_held_out_ones_whole(tiny_settings):
    config = TrainConfig(**tiny_settings, validation_fraction=0.25, split_seed=0)
    whole, part = (
        read_run_splits(dataclasses.replace(config, train_images=count, seed=1))
        for count in (0, 10)
    )
    assert len(whole.train) == 36 and len(part.train) == 10
    assert set(part.train.image_paths) < set(whole.train.image_paths)
    assert part.validation.image_paths == whole.validation.image_paths

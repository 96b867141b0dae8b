"""Names and numbers of --augment_layers: order, limits, and what is said of mistakes."""

import pytest

from vac_tf.configs.classification import TrainConfig
from vac_tf.inputs.augmentation.specification import parse_layers
from vac_tf.training.method_check import check_method


def test_layers_of_images_come_before_those_that_mix():
    layers = parse_layers("random_resized_crop:0.5, colour:0.4,mixup:0.2,cutmix:1")
    assert (len(layers.of_image), len(layers.of_batch)) == (2, 2)
    assert parse_layers("") == parse_layers("")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("blur:1", "unknown layer 'blur'. Expected names of random_resized_crop, colour, rand_"),
        ("colour:0.1,colour:0.2", "colour is named twice"),
        ("mixup:0.2,colour:0.1", "before they are mixed; name it before mixup"),
        ("rand_augment:2", "'rand_augment:2' needs number of operations .1 to 14. and magnitude"),
        ("rand_augment:1.5:9", "number of operations .1 to 14. and magnitude .0 to 10."),
        ("random_erasing:much", "'random_erasing:much' needs probability .0 to 1."),
        ("random_erasing:nan", "needs probability"),
        ("random_resized_crop:0", "needs smallest share of the area .0.01 to 1."),
        ("cutmix:2", "needs alpha .0.01 to 1."),
        (",", "unknown layer ''"),
    ],
)
def test_mistakes_are_named(text, message):
    for parse in (parse_layers, lambda text: check_method(TrainConfig(augment_layers=text))):
        with pytest.raises(ValueError, match=message):
            parse(text)


def test_a_view_from_the_photograph_would_be_changed_otherwise():
    settings = {"augment_layers": "colour:0.2", "transforms": "scale:64"}
    check_method(TrainConfig(**settings))
    with pytest.raises(ValueError, match="from the photograph; use scaled_view='view'"):
        check_method(TrainConfig(**settings, scaled_view="photograph"))

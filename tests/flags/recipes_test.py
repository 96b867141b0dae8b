"""Every recipe parses, says what it must, and trains a step."""

import dataclasses
import re

import keras
import numpy as np
import pytest
from absl import flags as absl_flags

from flags import dataclass_flags
from tools.python_imports import REPOSITORY
from vac_tf.configs.classification import TrainConfig
from vac_tf.geometry.transforms import parse_transforms, parse_weights
from vac_tf.models.backbones import check_backbone_weights, get_backbone
from vac_tf.training.run import build_trainer, start_classifier
from vac_tf.training.run_data import read_run_data

FOLDER = REPOSITORY / "flags" / "recipes"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
FILES = sorted(path.name for path in FOLDER.glob("*.flags"))
SETTINGS = [name for name in FILES if name.endswith("_settings.flags")]
RECIPES = [name for name in FILES if name not in SETTINGS]
RECIPES_OF_THE_PAPER = [name for name in RECIPES if not name.startswith(("scenes_", "table_"))]

# Row of Table 1 -> transforms. The same for every dataset, but for the size of the scaling.
TRANSFORMS = {
    "": "",
    "act": "translate:32:0",
    "acr": "rotate:1",
    "acs": "scale:192",
    "acf": "hflip",
    "acfs": "hflip,scale:192",
}
# Second part of a recipe's name -> backbone and torchvision's file of ImageNet weights.
BACKBONES = {
    "r50": ("resnet50_v1_5", "weights/resnet50-0676ba61.pth"),
    "r101": ("resnet101_v1_5", "weights/resnet101-63fe2227.pth"),
}
AUGMENTATIONS = {"t": "translate:32:0", "r": "rotate:1", "s": "scale:192", "f": "hflip"}


def parse(name, *more):
    """The config of a recipe, from a registry of flags of its own."""
    flag_values = absl_flags.FlagValues()
    dataclass_flags.define(TrainConfig, flag_values)
    flag_values(["train.py", f"--flagfile=flags/recipes/{name}", "--data_dir=data", *more])
    return dataclass_flags.from_flags(TrainConfig, flag_values)


@pytest.fixture(autouse=True)
def from_the_repository_root(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def comments(name):
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("#")]


def table_rows(heading):
    """(row, flagfile, numbers) of the tables under a heading of the README."""
    section = README.split(f"## {heading}")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| \[(\S+)\]\(\2\) \|(.*)\|$", section, re.MULTILINE)
    return [(row, name, re.findall(r"\d+\.\d+", numbers)) for row, name, numbers in rows]


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_parses_into_a_valid_config(name):
    config = parse(name)
    transforms = parse_transforms(config.transforms, config.resize_kernel)
    parse_transforms(config.augment, config.resize_kernel)
    assert set(parse_weights(config.consistency_weight, transforms)) == {
        transform.spec for transform in transforms
    }
    assert config.image_size % get_backbone(config.backbone).stride == 0
    assert config.augment_mode == "random" or config.augment
    assert not (config.paper_protocol and config.validation_fraction)
    assert not config.run_dir, "The run folder is the user's choice."


@pytest.mark.parametrize("name", SETTINGS)
def test_shared_settings_parse_and_are_used(name):
    parse(name)
    including = [
        recipe for recipe in RECIPES if f"recipes/{name}\n" in (FOLDER / recipe).read_text()
    ]
    assert len(including) >= 4


@pytest.mark.parametrize("network", ["resnet50", "resnet101"])
def test_the_weights_that_are_missing_are_got_as_the_settings_say(network):
    config = parse(f"{network}_settings.flags")
    with pytest.raises(ValueError, match=r"\.pth' not found. Get torchvision's") as error:
        check_backbone_weights(config.backbone, config.backbone_weights)
    for text in (" ".join(comments(f"{network}_settings.flags")), README):
        pattern = rf"curl --create-dirs -o weights/{network}-\w+\.pth \S+/{network}-\w+\.pth"
        command = re.search(pattern, re.sub(r"[\s#\\]+", " ", text))
        assert command[0] in str(error.value)


def test_a_flag_after_the_flagfile_wins():
    assert parse("table_acf.flags").consistency_weight == "1"
    assert parse("table_acf.flags", "--consistency_weight=0.1").consistency_weight == "0.1"


def test_a_misspelt_transform_in_a_recipe_is_named(tmp_path):
    recipe = tmp_path / "misspelt.flags"
    recipe.write_text("--flagfile=flags/recipes/table_settings.flags\n--transforms=hflp\n")
    flag_values = absl_flags.FlagValues()
    dataclass_flags.define(TrainConfig, flag_values)
    flag_values(["train.py", f"--flagfile={recipe}", "--data_dir=data"])
    with pytest.raises(ValueError, match="Unknown transform 'hflp'. Known transforms: hflip"):
        parse_transforms(dataclass_flags.from_flags(TrainConfig, flag_values).transforms)


@pytest.mark.parametrize("name", FILES)
def test_flagfile_begins_with_what_it_is(name):
    text = comments(name)
    assert (FOLDER / name).read_text(encoding="utf-8").startswith("# ")
    if name in SETTINGS:
        assert any("No recipe by itself" in line for line in text)
    else:
        assert f"#   python train.py --flagfile=flags/recipes/{name} \\" in text
    if name in RECIPES_OF_THE_PAPER:
        assert re.match(r"# Tables? \d", text[0])
        assert any("ssumed" in line or "released model" in line for line in text)


@pytest.mark.parametrize(
    ("heading", "count"),
    [("Table 1", 16), ("Table 2", 2), ("Table 3", 3), ("Table 4", 8), ("Table 5", 4)]
    + [("Table 6", 4)],
)
def test_readme_has_every_row_of_the_table(heading, count):
    rows = table_rows(heading)
    assert len(rows) == count
    assert len({row for row, _, _ in rows}) == count
    assert len({name for _, name, _ in rows}) == count


def test_every_model_that_the_authors_trained_has_one_flagfile():
    counts = {
        dataset: len([name for name in RECIPES if name.startswith(dataset)])
        for dataset in ("wider_", "pa100k_", "coco_", "scenes_", "table_")
    }
    assert counts == {"wider_": 18, "pa100k_": 4, "coco_": 4, "scenes_": 2, "table_": 5}
    assert len(RECIPES) == sum(counts.values())
    of_readme = {
        name for table in "13456" for _, name, _ in table_rows(f"Table {table}")
    }  # Table 2 evaluates models of Table 1.
    assert of_readme == set(RECIPES_OF_THE_PAPER)


def test_readme_names_every_flagfile_and_no_other():
    # Those of the dual-stream paper lie in a folder, and have tests, of their own.
    linked = set(re.findall(r"\]\(([a-z0-9_]+\.flags)\)", README))
    assert linked == set(FILES)


@pytest.mark.parametrize("heading", ["Table 1", "Table 3", "Table 5", "Table 6"])
def test_readme_and_flagfile_give_the_same_numbers(heading):
    for row, name, numbers in table_rows(heading):
        paper = " ".join(line for line in comments(name) if line.startswith("# Paper (%)"))
        in_flagfile = re.findall(r"\d+\.\d+", paper)
        if heading == "Table 3" and name == "wider_r50_acf.flags":
            in_flagfile = in_flagfile[:1]  # Table 3 has its mAP only.
        else:
            title = comments(name)[0].replace(" level", "")
            assert row.replace(" level", "") in title
        assert numbers == in_flagfile


def test_table_4_repeats_table_1():
    full = {name: numbers for _, name, numbers in table_rows("Table 1")}
    for row, name, numbers in table_rows("Table 4"):
        expected = [full[name][0], *full[name][2:7]]
        if row == "R101+ACf":
            assert (expected[1], numbers[1]) == ("77.4", "77.3"), "The slip that is noted."
            expected[1] = "77.3"
        assert numbers == expected


@pytest.mark.parametrize("name", RECIPES_OF_THE_PAPER)
def test_settings_are_the_authors(name):
    config = parse(name)
    assert (config.optimizer, config.learning_rate, config.momentum) == ("sgd", 1e-3, 0.9)
    assert (config.nesterov, config.weight_decay) == (False, 5e-4)
    network = name.removesuffix(".flags").split("_")[1]
    assert (config.backbone, config.backbone_weights) == BACKBONES[network]
    assert config.resize_kernel == "nearest"
    assert config.paper_protocol
    assert config.detach_heatmap_kernel
    assert (config.schedule, config.warmup_epochs) == ("step", 0)
    schedule = (config.schedule_step_epochs, config.schedule_step_factor, config.epochs)
    sizes = (config.image_size, config.batch_size, config.drop_remainder)
    if name.startswith("coco_"):
        assert (schedule, sizes) == ((6, 0.1, 14), (288, 24, True))
        assert config.train_split == "train2014"
    else:
        assert (schedule, sizes) == ((3, 0.5, 12), (224, 16, False))
        assert (config.train_split, config.consistency_weight) == ("trainval", "1")
    if name.startswith("wider_"):
        assert config.unknown_labels == "release"


@pytest.mark.parametrize("name", RECIPES_OF_THE_PAPER)
def test_every_view_is_made_from_the_photograph_as_in_the_release(name):
    assert parse(name).scaled_view == "photograph"


@pytest.mark.parametrize("name", RECIPES_OF_THE_PAPER)
def test_transforms_are_those_of_the_row(name):
    config = parse(name)
    dataset, _, *kinds = name.removesuffix(".flags").split("_")
    kind = kinds[0] if kinds else ""
    expected = TRANSFORMS.get(kind, "")
    if dataset == "coco":
        expected = expected.replace("192", "256")
    assert config.transforms == expected
    assert config.augment == AUGMENTATIONS.get(kind, "")
    assert config.augment_mode == ("union" if kind in AUGMENTATIONS else "random")
    assert config.pairs == ("grid" if kind == "acfs" else "star")
    levels = {"feature": "features", "label": "logits"}
    assert config.consistency_level == levels.get("".join(kinds[1:2]), "heatmaps")


def test_coco_weights_are_the_released_ones():
    weights = {
        name: parse(f"coco_r101_{name}.flags").consistency_weight
        for name in TRANSFORMS
        if name in ("acf", "acs", "acfs")
    }
    assert weights == {
        "acf": "hflip:0.6",
        "acs": "scale:0.8",
        "acfs": "hflip:0.6,scale:0.8",
    }


def test_scenes_recipes_are_the_defaults():
    assert dataclasses.replace(parse("scenes_baseline.flags"), data_dir="") == TrainConfig()
    acf = dataclasses.replace(parse("scenes_acf.flags"), data_dir="")
    assert acf == TrainConfig(transforms="hflip")


def test_table_recipes_differ_only_in_the_method():
    method = ("transforms", "consistency_weight", "augment")
    configs = [parse(name) for name in RECIPES if name.startswith("table_")]
    bare = {dataclasses.replace(config, **dict.fromkeys(method, "")) for config in configs}
    assert len(bare) == 1
    assert len({tuple(getattr(config, name) for name in method) for config in configs}) == 5


def small(name, folder):
    """The recipe on a few generated scenes: two cells per side, one when scaled, no weights."""
    config = parse(name)
    stride = get_backbone(config.backbone).stride
    changes = {
        field: re.sub(r"scale:\d\d+", f"scale:{stride}", getattr(config, field))
        for field in ("transforms", "augment")
    }
    return dataclasses.replace(
        config,
        **changes,
        dataset="scenes",
        data_dir=str(folder),
        train_split="train",
        scenes_train_images=8,
        scenes_image_size=2 * stride,
        image_size=2 * stride,
        batch_size=2,
        backbone_weights="none",
    )


def train_a_step(config):
    """Builds the trainer of a config and runs one step; checks what comes out."""
    keras.utils.set_random_seed(0)
    data = read_run_data(config)
    trainer = build_trainer(config, data, start_classifier(config, data.label_names))
    before = [variable.numpy() for variable in trainer.trainable_variables]
    batch = next(iter(data.training.epoch(0)))
    assert len(batch[0]) == 2
    terms = {name: float(value) for name, value in trainer.train_step(batch).items()}
    transforms = parse_transforms(config.transforms)
    assert {transform.term for transform in transforms} <= set(terms)
    assert all(np.isfinite(value) for value in terms.values())
    assert terms["loss"] == pytest.approx(
        terms["classification_loss"] + terms["consistency_loss"], rel=1e-5
    )
    changed = [
        not np.array_equal(old, new.numpy())
        for old, new in zip(before, trainer.trainable_variables, strict=True)
    ]
    assert np.mean(changed) > 0.9
    return terms


@pytest.mark.parametrize("name", ["scenes_acf.flags", "wider_r50_acfs.flags"])
def test_recipe_trains_a_step(name, tmp_path):
    terms = train_a_step(small(name, tmp_path))
    assert terms["consistency_hflip"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_and_trains_a_step(name, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "scenes"
    terms = train_a_step(small(name, folder))
    config = parse(name)
    if config.transforms and config.consistency_weight != "0":
        assert terms["consistency_loss"] > 0
    else:
        assert terms["consistency_loss"] == 0

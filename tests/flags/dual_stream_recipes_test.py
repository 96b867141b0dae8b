"""The recipes of the dual-stream paper parse, say what they must, and agree with their README."""

import dataclasses
import re

import pytest
from absl import flags as absl_flags

from flags import dataclass_flags
from tools.python_imports import REPOSITORY
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.saliency import SaliencyConfig

FOLDER = REPOSITORY / "flags" / "recipes" / "dual_stream"
README = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
FILES = sorted(path.name for path in FOLDER.glob("*.flags"))
ROWS = ("rsn50_baseline", "rsn50_dual_stream_baseline", "rsn50_dual_stream")
TRIO = ("scenes_baseline", "scenes_dual_stream_baseline", "scenes_dual_stream")
VARIANTS = ("rsn50_dual_stream_heads",)
SALIENCY = ("salicon_rsn50", "scenes_saliency")


def parse(name, program="train.py"):
    flag_values = absl_flags.FlagValues()
    config_class = SaliencyConfig if program == "train_saliency.py" else TrainConfig
    dataclass_flags.define(config_class, flag_values)
    recipe = f"flags/recipes/dual_stream/{name}.flags"
    flag_values([program, f"--flagfile={recipe}", "--data_dir=data"])
    return dataclass_flags.from_flags(config_class, flag_values)


@pytest.fixture(autouse=True)
def from_the_repository_root(monkeypatch):
    monkeypatch.chdir(REPOSITORY)


def test_every_file_is_a_recipe_or_settings_of_some():
    settings = ("coco_settings", "coco_dual_stream_settings")
    settings += ("scenes_settings", "scenes_dual_stream_settings")
    assert FILES == sorted(
        f"{name}.flags" for name in (*ROWS, *VARIANTS, *TRIO, *SALIENCY, *settings)
    )
    assert set(re.findall(r"\]\(dual_stream/(\S+\.flags)\)", README)) == set(FILES)


@pytest.mark.parametrize("name", [*ROWS, *VARIANTS, *TRIO, *SALIENCY])
def test_recipe_says_how_it_is_run(name):
    text = (FOLDER / f"{name}.flags").read_text(encoding="utf-8")
    program = "train_saliency.py" if name in SALIENCY else "train.py"
    assert f"#   python {program} --flagfile=flags/recipes/dual_stream/{name}.flags \\" in text


@pytest.mark.parametrize("name", ROWS)
def test_rows_have_the_settings_of_the_paper(name):
    config = parse(name)
    assert config.backbone == "resnet50_v1_5"
    assert config.backbone_weights == "weights/resnet50-0676ba61.pth"
    assert (config.image_size, config.pooling) == (224, "max")
    assert config.loss == "multiple_cross_entropy"
    assert (config.optimizer, config.momentum, config.weight_decay) == ("sgd", 0.9, 1e-4)
    if config.model == "dual_stream":
        assert (config.phase2_learning_rate, config.phase3_learning_rate) == (1e-5, 1e-6)
        # The rates of phases 2 and 3 stay as the paper gives them: no drop falls into them.
        assert max(config.phase2_epochs, config.phase3_epochs) <= config.schedule_step_epochs


def test_rows_begin_phase_2_with_a_new_layer_as_the_paper_does():
    """Section 5.1 adds a fully connected layer; starting it from both heads is our variant."""
    for name in ROWS[1:]:
        assert parse(name).fusion_init == "random"
    variant, row = parse("rsn50_dual_stream_heads"), parse("rsn50_dual_stream")
    assert dataclasses.replace(variant, fusion_init="random") == row
    assert variant.fusion_init == "heads"


@pytest.mark.parametrize("names", [ROWS, TRIO])
def test_rows_differ_only_in_the_streams(names):
    one_stream, control, dual_stream = (vars(parse(name)) for name in names)
    differing = {key for key in control if control[key] != dual_stream[key]}
    assert differing == {"branch_initialization", "saliency_run"}
    differing = {key for key in one_stream if one_stream[key] != dual_stream[key]}
    of_phases = {key for key in dual_stream if key.startswith(("phase2_", "phase3_", "fusion_"))}
    assert differing - of_phases == {"model", "trunk_run", "saliency_run"}


@pytest.mark.parametrize(
    ("saliency_name", "name"),
    [("salicon_rsn50", "rsn50_dual_stream"), ("scenes_saliency", "scenes_dual_stream")],
)
def test_the_saliency_network_fits_the_branch(saliency_name, name):
    saliency_config, config = parse(saliency_name, "train_saliency.py"), parse(name)
    for setting in ("backbone", "image_size", "batch_norm_momentum"):
        assert getattr(saliency_config, setting) == getattr(config, setting)
    assert config.saliency_run == f"runs/{saliency_name}"


def test_readme_flagfiles_and_formula_give_the_same_numbers():
    rows = re.findall(r"^\| RSN-50 .*\(dual_stream/(\w+)\.flags\) \|(.*)\|$", README, re.MULTILINE)
    assert [name for name, _ in rows] == list(ROWS)
    for name, numbers in rows:
        in_readme = re.findall(r"\d+\.\d", numbers)
        text = (FOLDER / f"{name}.flags").read_text(encoding="utf-8")
        (line,) = re.findall(r"# Paper \(%\), as read: (.*)", text)
        assert in_readme == re.findall(r"\d+\.\d", line)
        precision, recall, f1 = (float(number) for number in in_readme[3:6])
        # The reading of the columns that fits Equation 6.
        assert f1 == pytest.approx(2 * precision * recall / (precision + recall), abs=0.1)

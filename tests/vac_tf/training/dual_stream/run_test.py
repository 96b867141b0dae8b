"""The phases of a dual-stream training: what each starts from, moves and leaves behind."""

import dataclasses
import json
import logging
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.programs.warm_start import start_warm
from tests.vac_tf.event_reader import steps, tags
from tests.vac_tf.tiny_backbones import add_tiny_backbones
from tools.python_imports import REPOSITORY
from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.evaluation import EvaluationConfig
from vac_tf.configs.saliency import SaliencyConfig
from vac_tf.evaluation.classification import evaluate
from vac_tf.inputs.prediction import predict
from vac_tf.models.classifier import without_head
from vac_tf.models.saving import load_network
from vac_tf.runs.folder import RunFolder
from vac_tf.training.callbacks import StopRequest, TrainingInterrupted
from vac_tf.training.divergence import DivergenceError
from vac_tf.training.dual_stream import run as dual_stream_run
from vac_tf.training.dual_stream.given_runs import check_stream_runs
from vac_tf.training.dual_stream.phases import phase_config
from vac_tf.training.dual_stream.run import join_streams, release_streams, run_dual_stream
from vac_tf.training.run import run, start_classifier
from vac_tf.training.run_data import read_run_data
from vac_tf.training.saliency.run import run_saliency

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")


@pytest.fixture(scope="module", autouse=True)
def tiny_backbones():
    with pytest.MonkeyPatch.context() as patch:
        add_tiny_backbones(patch)
        yield


@pytest.fixture(scope="module")
def base(tiny_settings, tmp_path_factory):
    """Settings of a dual-stream training of 4 x 1 epochs, with a saliency run, without a folder."""
    scenes = {name: tiny_settings[name] for name in tiny_settings if "scenes" in name}
    scenes |= {"data_dir": tiny_settings["data_dir"], "image_size": 32, "batch_size": 8}
    saliency = SaliencyConfig(
        run_dir=str(tmp_path_factory.mktemp("saliency") / "run"),
        backbone="tiny",
        epochs=1,
        max_images=16,
        human_observers=1,
        **scenes,
    )
    run_saliency(saliency)
    return TrainConfig(
        model="dual_stream",
        saliency_run=saliency.run_dir,
        backbone="tiny",
        pooling="max",
        loss="multiple_cross_entropy",
        optimizer="sgd",
        weight_decay=1e-4,
        learning_rate=1e-2,
        phase2_learning_rate=1e-2,
        phase3_learning_rate=1e-3,
        epochs=1,
        phase2_epochs=2,
        **scenes,
    )


@pytest.fixture(scope="module")
def finished(base, tmp_path_factory):
    """Config and accounts of a whole training; its folder must not be changed."""
    folder = str(tmp_path_factory.mktemp("dual") / "run")
    config = dataclasses.replace(base, run_dir=folder, tensorboard=True, tensorboard_images=2)
    return config, run_dual_stream(config)


def test_tensorboard_shows_every_phase(finished):
    config, _ = finished
    for phase, last_step in (("1a", 6), ("1b", 6), ("2", 12), ("3", 6)):
        train, validation = (
            phase_file(config, phase, f"tensorboard/{run}") for run in ("train", "validation")
        )
        assert steps(train, "within_epoch/loss")[-1] == last_step
        shown = [tag for tag in tags(validation) if tag.startswith("heatmaps/")]
        assert len(shown) == 2 and steps(validation, shown[0])[-1] == last_step


@pytest.fixture
def new(base, tmp_path):
    """The same settings with a folder of their own."""
    return dataclasses.replace(base, run_dir=str(tmp_path / "new"))


def phase_file(config, phase, name):
    return os.path.join(config.run_dir, f"phase_{phase}", name)


def network_of(config, phase):
    return load_network(phase_file(config, phase, "network.keras"))


def weights_of(network, *streams):
    return [w for name in streams for w in network.get_layer(name).get_weights()]


def assert_equal(values, expected):
    assert len(values) > 0
    for value, other in zip(values, expected, strict=True):
        np.testing.assert_array_equal(value, other)


def variables_of_state(config, phase):
    with np.load(phase_file(config, phase, "last/state.npz")) as arrays:
        return [arrays[f"variable_{number}"] for number in range(len(arrays.files) - 1)]


# ---- A whole training


def test_every_phase_is_a_run_in_its_own_folder(finished):
    config, accounts = finished
    assert sorted(os.listdir(config.run_dir)) == [
        *("config.json", "labels.json", "lock", "network.keras", "phase_1a", "phase_1b"),
        *("phase_2", "phase_3", "phases.json", "selection.json"),
    ]
    expected = ["config.json", "labels.json", "last", "lock", "log.csv", "network.keras"]
    expected += ["selection.json", "tensorboard"]
    for phase in ("1a", "1b", "2", "3"):
        assert sorted(os.listdir(phase_file(config, phase, ""))) == expected
    assert {phase: account["steps"] for phase, account in accounts.items()} == {
        **{"1a": 6, "1b": 6},
        **{"2": 12, "3": 6},
    }
    assert RunFolder(config.run_dir).read_json("phases.json") == accounts
    assert RunFolder(config.run_dir).read_config() == config
    phases_1 = [RunFolder(phase_file(config, phase, "")).read_config() for phase in ("1a", "1b")]
    assert [each.model for each in phases_1] == ["classifier"] * 2
    assert [each.seed for each in phases_1] == [0, 1]


def test_the_network_of_the_run_is_that_of_its_last_phase(finished):
    config, _ = finished
    for name in ("network.keras", "selection.json", "labels.json"):
        with open(phase_file(config, "3", name), "rb") as stream:
            expected = stream.read()
        with open(os.path.join(config.run_dir, name), "rb") as stream:
            assert stream.read() == expected


def test_phase_2_moves_the_joint_layer_only_bit_for_bit(finished):
    """No weight and no batch statistic of either stream, in the best network and in the last."""
    config, _ = finished
    streams = [without_head(network_of(config, phase)).get_weights() for phase in ("1a", "1b")]
    frozen = [weight for stream in streams for weight in stream]
    joint = network_of(config, "2")
    assert_equal(weights_of(joint, "trunk", "branch"), frozen)
    last = variables_of_state(config, "2")
    assert_equal(last[: len(frozen)], frozen)
    start = join_streams(
        phase_config(config, "2"),
        read_run_data(config).label_names,
        phase_file(config, "1a", ""),
        phase_file(config, "1b", ""),
    )
    moved = last[len(frozen) : len(frozen) + 2]
    for value, initial in zip(moved, start.get_layer("cam_head").get_weights(), strict=True):
        assert value.shape == initial.shape and np.abs(value - initial).max() > 0


def test_phase_3_moves_everything(finished):
    config, _ = finished
    names = ("trunk", "branch", "cam_head")
    before = weights_of(network_of(config, "2"), *names)
    after = weights_of(network_of(config, "3"), *names)
    moved = [np.abs(new - old).max() for new, old in zip(after, before, strict=True)]
    assert min(moved) > 0, moved
    started = release_streams(phase_config(config, "3"), (), phase_file(config, "2", ""))
    assert_equal(weights_of(started, *names), before)
    # Convolution, scale and offset of each stream; kernel and bias.
    assert len(started.trainable_weights) == 3 + 3 + 2


def test_phase_1b_starts_from_the_saliency_network_without_its_last_convolution(finished):
    config, _ = finished
    started = start_classifier(phase_config(config, "1b"), ("one", "two"))
    saliency = load_network(os.path.join(config.saliency_run, "network.keras"))
    expected = saliency.get_weights()[:-2]  # Kernel and bias of the last convolution.
    assert_equal(without_head(started).get_weights(), expected)
    assert started.get_layer("cam_head").kernel.shape == (8, 2, 2)


def test_phase_2_starts_as_the_mean_of_both_classifiers(finished):
    config, _ = finished
    trunk, branch = (network_of(config, phase)(IMAGES) for phase in ("1a", "1b"))
    names = read_run_data(config).label_names
    folders = [phase_file(config, phase, "") for phase in ("1a", "1b")]
    joint = join_streams(config, names, *folders)(IMAGES)
    for name in ("logits", "heatmaps"):
        expected = (trunk[name] + branch[name]) / 2
        np.testing.assert_allclose(joint[name], expected, rtol=1e-4, atol=1e-4)
    random = join_streams(dataclasses.replace(config, fusion_init="random"), names, *folders)
    assert np.abs(random(IMAGES)["logits"] - joint["logits"]).max() > 0.01


def test_a_finished_training_does_nothing_more(finished, monkeypatch):
    config, accounts = finished
    # Nor does it look at the runs that it began with: they may be gone.
    for name in ("run", "check_method", "check_stream_runs"):
        monkeypatch.setattr(dual_stream_run, name, None)
    assert run_dual_stream(config) == accounts


def test_evaluation_takes_the_training_and_each_phase(finished, tmp_path):
    config, accounts = finished
    folder = shutil.copytree(config.run_dir, str(tmp_path / "copy"))
    for path in (folder, os.path.join(folder, "phase_1a"), os.path.join(folder, "phase_2")):
        evaluation = evaluate(EvaluationConfig(run_dir=path))
        assert set(evaluation["inconsistency"]) == {"hflip", "rotate", "scale", "translate"}
    network = load_network(RunFolder(folder).network_file)
    labels, logits = predict(network, read_run_data(config).validation)
    assert labels.shape == logits.shape and max(accounts["3"]["best"].values()) > 0


# ---- Interruption


def test_a_kill_in_phase_2_changes_nothing_in_the_end(finished, new, tmp_path):
    """Killed without warning after the third step of phase 2; then the same call again."""
    source = f"""
import os, signal
import pytest
from tests.programs.warm_start import start_warm
from tests.vac_tf.event_reader import steps, tags
from tests.vac_tf.tiny_backbones import add_tiny_backbones
from vac_tf.configs.classification import TrainConfig
from vac_tf.training.epochs import training_run
from vac_tf.training.dual_stream.run import run_dual_stream
add_tiny_backbones(pytest.MonkeyPatch())
config = TrainConfig(**{dataclasses.asdict(new) | {"checkpoint_seconds": 0.0}})
save = training_run.save_state
def save_and_die(path, trainer, progress, keep):
    save(path, trainer, progress, keep)
    if "/phase_2/" in path and progress["step"] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
training_run.save_state = save_and_die
run_dual_stream(config)
"""
    script = tmp_path / "killed.py"
    script.write_text(source)
    killed = start_warm(script)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert sorted(RunFolder(new.run_dir).read_json("phases.json")) == ["1a", "1b"]
    assert not os.path.exists(phase_file(new, "3", "")) and not os.path.exists(
        os.path.join(new.run_dir, "network.keras")
    )
    before = {p: os.stat(phase_file(new, p, "last/state.npz")).st_mtime_ns for p in ("1a", "1b")}
    accounts = run_dual_stream(new)
    config, expected = finished
    assert accounts == expected
    for phase in ("1a", "1b", "2", "3"):
        assert_equal(variables_of_state(new, phase), variables_of_state(config, phase))
    for phase, time in before.items():
        assert os.stat(phase_file(new, phase, "last/state.npz")).st_mtime_ns == time


def test_ctrl_c_ends_the_phase_at_a_point_to_continue_from(finished, new, monkeypatch):
    config, expected = finished
    given = dataclasses.replace(
        new,
        phases="2",
        saliency_run="",
        trunk_run=phase_file(config, "1a", ""),
        branch_run=phase_file(config, "1b", ""),
    )
    steps = []
    original = StopRequest.raise_if_any

    def stop_after_two_steps(request):
        steps.append(1)
        if len(steps) == 2:
            request.noted = signal.SIGINT
        original(request)

    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "raise_if_any", stop_after_two_steps)
        with pytest.raises(TrainingInterrupted, match="SIGINT"):
            run_dual_stream(given)
    assert run_dual_stream(given) == {"2": expected["2"]}
    # Phase 2 from given runs is phase 2 after phases 1a and 1b.
    assert_equal(variables_of_state(given, "2"), variables_of_state(config, "2"))


# ---- Divergence, lost networks, more epochs


def test_a_phase_that_diverges_goes_on_with_its_own_lower_rate(new):
    settings = {"phases": "1b", "max_images": 16, "phase1b_learning_rate": 1e30}
    diverging = dataclasses.replace(new, **settings)
    message = "lower --phase1b_learning_rate than 1e.30"
    with pytest.raises(DivergenceError, match=message):
        run_dual_stream(diverging)
    with pytest.raises(ValueError, match="weight_decay: 0.0001 there, 0.5 now"):
        run_dual_stream(dataclasses.replace(diverging, weight_decay=0.5))
    lower = dataclasses.replace(diverging, phase1b_learning_rate=1e-3)
    assert run_dual_stream(lower)["1b"]["steps"] == 2
    assert RunFolder(new.run_dir).read_config() == lower
    with pytest.raises(ValueError, match="phase1b_learning_rate: 0.001 there, 1e.30 now"):
        run_dual_stream(diverging)


@pytest.fixture
def copy(finished, tmp_path):
    """The finished training in a folder that may be changed."""
    config, _ = finished
    folder = shutil.copytree(config.run_dir, str(tmp_path / "copy"))
    return dataclasses.replace(config, run_dir=folder)


@pytest.mark.parametrize("damage", [os.remove, lambda path: open(path, "wb").close()])
def test_a_lost_network_is_restored_from_its_phase_or_an_error(copy, damage, monkeypatch):
    monkeypatch.setattr("keras.Model.fit", None)
    path = RunFolder(copy.run_dir).network_file
    with open(path, "rb") as stream:
        whole = stream.read()
    damage(path)
    run_dual_stream(copy)
    with open(path, "rb") as stream:
        assert stream.read() == whole
    damage(phase_file(copy, "2", "network.keras"))
    with pytest.raises(ValueError, match=r"phase_2/network\.keras' is missing, damaged"):
        run_dual_stream(copy)


@pytest.mark.parametrize("name", ["epochs", "phase3_epochs"])
def test_more_epochs_are_refused_with_the_reason(copy, name):
    message = (
        rf"(?s){name}: \d there, 9 now.*each phase began .*--trunk_run={copy.run_dir}/phase_1a"
    )
    with pytest.raises(ValueError, match=message):
        run_dual_stream(dataclasses.replace(copy, **{name: 9}))


# ---- Other ways


def test_the_control_starts_the_branch_from_another_seed(new):
    control = dataclasses.replace(
        new,
        saliency_run="",
        branch_initialization="backbone_weights",
        validation_fraction=0.25,
        max_images=16,
    )
    # The phases that follow are the same with and without a saliency network.
    accounts = run_dual_stream(dataclasses.replace(control, phases="1a,1b"))
    assert set(accounts) == {"1a", "1b"}
    trunk, branch = (network_of(control, phase).get_weights()[0] for phase in ("1a", "1b"))
    assert not np.array_equal(trunk, branch)
    held_out = [
        set(read_run_data(phase_config(control, phase)).validation_source.split.image_paths)
        for phase in ("1a", "1b", "2", "3")
    ]
    assert len(held_out[0]) == 4 and all(part == held_out[0] for part in held_out)


@pytest.mark.slow
def test_streams_of_two_grids_under_consistency_and_mixed_precision(new):
    config = dataclasses.replace(
        new,
        backbone="tiny8",
        branch_backbone="tiny",
        transforms="hflip,translate:16:0,scale:16",
        consistency_weight="hflip:1,translate:0.5,scale:2",
        loss="weighted_sigmoid_cross_entropy",
        precision="mixed_bfloat16",
        phase1b_epochs=2,
        phase1b_learning_rate=1e-3,
        phase2_epochs=1,
        max_images=16,
        ema_decay=0.5,
    )
    accounts = run_dual_stream(config)
    assert [accounts[phase]["epochs"] for phase in ("1a", "1b", "2", "3")] == [1, 2, 1, 1]
    assert network_of(config, "3")(IMAGES)["heatmaps"].shape[1:3] == (4, 4)
    evaluation = evaluate(EvaluationConfig(run_dir=config.run_dir))
    specs = evaluation["conventions"]["inconsistency"]
    assert (specs["scale"], specs["translate"]) == ("scale:16", "translate:16:0")


@pytest.mark.parametrize(
    "level, pairs",
    [pytest.param("features", "grid", marks=pytest.mark.slow), ("logits", "star")],
)
def test_consistency_of_every_level_in_phases_2_and_3(finished, new, level, pairs):
    config = dataclasses.replace(
        new,
        phases="2,3",
        saliency_run="",
        trunk_run=phase_file(finished[0], "1a", ""),
        branch_run=phase_file(finished[0], "1b", ""),
        transforms="hflip,scale:16",
        consistency_level=level,
        pairs=pairs,
        max_images=16,
        phase2_epochs=1,
    )
    assert set(run_dual_stream(config)) == {"2", "3"}


def test_phases_can_be_added_later(new):
    new = dataclasses.replace(new, max_images=8, phase2_epochs=1)
    first = run_dual_stream(dataclasses.replace(new, phases="1a,1b"))
    assert set(first) == {"1a", "1b"}
    assert not os.path.exists(os.path.join(new.run_dir, "network.keras"))
    second = run_dual_stream(dataclasses.replace(new, phases="2"))
    assert set(second) == {"1a", "1b", "2"} and first.items() <= second.items()
    assert RunFolder(new.run_dir).read_json("selection.json")["selected_on"] == "val split"


def test_a_classifier_may_start_from_a_saliency_run(base, tmp_path):
    config = phase_config(dataclasses.replace(base, run_dir=str(tmp_path), max_images=16), "1b")
    assert run(config)["steps"] == 2


# ---- Bad input


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"phases": "2,1a"}, "must come in the order 1a,1b,2,3, each once, got '2,1a'"),
        ({"phases": "1a,1a"}, "each once"),
        ({"phases": "1a,1c"}, "Unknown phase '1c'"),
        ({"phases": "2,3"}, "Phase 2 needs phase 1a.*--trunk_run"),
        ({"phases": "1a,2"}, "Phase 2 needs phase 1b.*--branch_run"),
        ({"phases": "1a,1b,3"}, "Phase 3 needs phase 2, which is neither asked"),
        ({"saliency_run": ""}, "Phase 1b starts from a saliency network: give --saliency_run"),
        ({"branch_initialization": "backbone_weights"}, "the control without saliency, but"),
        ({"branch_run": "/nowhere"}, "branch_run replaces phase 1b"),
        ({"trunk_run": "/nowhere", "phases": "1a"}, "Nothing to train"),
        ({"trunk_run": "/nowhere"}, "No config.json in '/nowhere'"),
        ({"saliency_run": "/nowhere"}, "No config.json in '/nowhere'"),
        ({"image_size": 48}, "saliency_run .* has image_size 32, but 48 is needed"),
        ({"backbone": "tiny8"}, "has backbone 'tiny', .*--branch_backbone=tiny"),
        ({"branch_backbone": "tiny9"}, "Unknown backbone 'tiny9'"),
        ({"transforms": "translate:8:0"}, "multiples of the backbone's stride, 16"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(new, changes, message):
    with pytest.raises(ValueError, match=message):
        run_dual_stream(dataclasses.replace(new, **changes))
    assert not os.path.exists(new.run_dir)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"image_size": 48}, "trunk_run .* has image_size 32, but 48 is needed"),
        ({"pooling": "average"}, "trunk_run .* has pooling 'max', but 'average' is needed"),
        ({"backbone": "tiny8"}, "trunk_run .* has backbone 'tiny'.*give --backbone=tiny"),
        ({"branch_backbone": "tiny8"}, "branch_run .* give --branch_backbone=tiny"),
    ],
)
def test_given_streams_that_do_not_fit_are_refused(finished, new, changes, message):
    with pytest.raises(ValueError, match=message):
        run_dual_stream(with_given_streams(new, finished[0], **changes))
    assert not os.path.exists(new.run_dir)


def with_given_streams(config, finished_config, **changes):
    streams = {
        "trunk_run": phase_file(finished_config, "1a", ""),
        "branch_run": phase_file(finished_config, "1b", ""),
    }
    return dataclasses.replace(config, **({"saliency_run": "", "phases": "2"} | streams | changes))


def test_given_streams_with_other_labels_are_refused(finished, new, tmp_path):
    other = shutil.copytree(phase_file(finished[0], "1b", ""), str(tmp_path / "other"))
    labels = RunFolder(other).read_json("labels.json")
    labels["label_names"] = labels["label_names"][::-1]
    RunFolder(other).write_json("labels.json", labels)
    with pytest.raises(ValueError, match="branch_run .* was trained on the labels .* same order"):
        run_dual_stream(with_given_streams(new, finished[0], branch_run=other))


def test_a_dual_stream_is_no_stream_and_other_held_out_images_are_a_warning(finished, new, caplog):
    joint = phase_file(finished[0], "2", "")
    with pytest.raises(ValueError, match="holds a dual_stream network, expected a classifier's"):
        run_dual_stream(with_given_streams(new, finished[0], trunk_run=joint))
    config = with_given_streams(new, finished[0], validation_fraction=0.5, max_images=8)
    with caplog.at_level(logging.WARNING):
        run_dual_stream(config)
    assert (
        "trunk_run" in caplog.text and "differs in validation_fraction, max_images" in caplog.text
    )


@pytest.mark.parametrize("fraction", [0.0, 0.25])
def test_another_seed_is_another_split_only_where_images_are_held_out(copy, new, fraction, caplog):
    trunk = RunFolder(phase_file(copy, "1a", ""))
    settings = trunk.read_json("config.json") | {"validation_fraction": fraction}
    trunk.write_json("config.json", settings)
    config = with_given_streams(new, copy, branch_run="", validation_fraction=fraction)
    check_stream_runs(dataclasses.replace(config, seed=7))
    assert ("differs in split_seed" in caplog.text) == (fraction > 0)
    caplog.clear()
    check_stream_runs(dataclasses.replace(config, seed=7, split_seed=0))
    assert caplog.text == ""


def test_a_saliency_run_with_other_normalisation_is_refused(base, new, tmp_path):
    folder = shutil.copytree(base.saliency_run, str(tmp_path / "saliency"))
    path = RunFolder(folder).network_file
    saliency = load_network(path)
    saliency.get_layer("normalization").offset = [0.0, 0.0, 0.0]
    saliency.save(path)
    config = dataclasses.replace(new, saliency_run=folder, phases="1b")
    with pytest.raises(ValueError, match="normalises images with offset"):
        run_dual_stream(config)


def test_a_classifier_takes_no_settings_of_a_dual_stream(base, tmp_path):
    config = dataclasses.replace(base, model="classifier", run_dir=str(tmp_path / "run"))
    for name in ("trunk_run", "branch_backbone"):
        with pytest.raises(ValueError, match=f"^{name}: only for a dual-stream training"):
            run(dataclasses.replace(config, saliency_run="", **{name: "tiny"}))
    weights = phase_config(dataclasses.replace(base, run_dir=config.run_dir), "1b")
    weights = dataclasses.replace(weights, backbone_weights="imagenet")
    with pytest.raises(ValueError, match="both start the backbone"):
        run(weights)
    assert not os.path.exists(config.run_dir)


def test_values_out_of_range_are_refused():
    for name in ("phase1b_epochs", "phase2_epochs", "phase3_learning_rate"):
        with pytest.raises(ValueError, match=f"{name} must not be negative, got -1"):
            TrainConfig(**{name: -1})


@pytest.mark.slow
def test_the_program_trains_both_phases_1(base, tmp_path):
    """Through the flags, with a backbone that the program knows."""
    values = {"max_images": 8, "phases": "1a,1b", "branch_initialization": "backbone_weights"}
    config = dataclasses.replace(base, saliency_run="", backbone="small", **values)
    config = dataclasses.replace(config, run_dir=str(tmp_path / "run"))
    defaults = dataclasses.asdict(TrainConfig())
    flags = [f"--{n}={v}" for n, v in dataclasses.asdict(config).items() if v != defaults[n]]
    done = subprocess.run(
        [sys.executable, "train.py", *flags], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"1a", "1b"}

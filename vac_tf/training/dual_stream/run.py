"""The training of a dual-stream network: up to four phases, each a run in its own folder."""

import functools
import logging
import os

import keras

from vac_tf.configs.classification import TrainConfig
from vac_tf.configs.training.dual_stream import PHASE_SETTINGS
from vac_tf.models.computation.rebuilding import rebuild_network
from vac_tf.models.dual_stream import build_dual_stream, freeze_streams, start_from_heads
from vac_tf.models.saving import load_network
from vac_tf.runs.atomic_file import write_atomically
from vac_tf.runs.changed_settings import SETTINGS_AGAINST_DIVERGENCE
from vac_tf.runs.folder import RunFolder
from vac_tf.training.dual_stream.given_runs import check_stream_runs, load_stream
from vac_tf.training.dual_stream.phases import PHASES, phase_config, phase_dir, plan_phases
from vac_tf.training.kept_networks import check_finished_run
from vac_tf.training.method_check import check_method
from vac_tf.training.run import run, start_classifier

_ACCOUNTS = "phases.json"
_LOGGER = logging.getLogger(__name__)


def run_dual_stream(config: TrainConfig) -> dict[str, dict]:
    """Trains the phases of `config.phases` in turn, each in its folder inside `config.run_dir`.

    The same call again continues in the phase that was interrupted; finished phases are not
    repeated. When phase 2 or 3 is the last one asked for, its best network becomes that of
    `config.run_dir`, which is then evaluated and exported like any run.

    Returns:
        The account of every finished phase, as `vac_tf.training.run.run` returns it; also
        written to phases.json.

    Raises:
        ValueError: unusable settings, data, run folder or given runs; phases out of order.
        DivergenceError, TrainingInterrupted, OSError: as `vac_tf.training.run.run`.
    """
    folder = RunFolder(config.run_dir)
    phases, accounts = check_dual_stream(config)
    with folder.claimed(config, _may_differ(config)):
        for phase in phases:
            _train_phase(config, folder, phase, accounts)
        if phases[-1] in ("2", "3"):
            _publish(RunFolder(phase_dir(config, phases[-1])), folder)
    return accounts


def check_dual_stream(config: TrainConfig) -> tuple[tuple[str, ...], dict[str, dict]]:
    """Checks settings, folder and given runs of a dual-stream training, before data is read.

    Returns:
        The phases that are asked for, and the accounts of those that are finished.

    Raises:
        ValueError: as `run_dual_stream`.
    """
    RunFolder(config.run_dir).check(config, _may_differ(config))
    accounts = _read_accounts(config)
    phases = plan_phases(config, set(accounts))
    # What finished phases began with may be gone by now.
    to_train = [phase for phase in phases if phase not in accounts]
    for phase in to_train:
        check_method(phase_config(config, phase))
    if set(to_train) - {"3"}:
        check_stream_runs(config)
    return phases, accounts


def _train_phase(config, folder, phase, accounts):
    """Trains a phase unless it is finished, and adds its account."""
    if phase in accounts:
        check_finished_run(RunFolder(phase_dir(config, phase)))
        _LOGGER.info("Phase %s is finished.", phase)
        return
    _LOGGER.info("Phase %s.", phase)
    # That of phase 1b goes over --learning_rate, that of phases 2 and 3 stands alone.
    rate_flag = "--learning_rate" if phase == "1a" else f"--phase{phase}_learning_rate"
    accounts[phase] = run(phase_config(config, phase), _starts(config)[phase], rate_flag)
    folder.write_json(_ACCOUNTS, accounts)


def _may_differ(config):
    """The learning rates, once a phase has diverged."""
    folders = [RunFolder(phase_dir(config, phase)) for phase in PHASES]
    if not any(os.path.exists(folder.divergence_file) for folder in folders):
        return frozenset()
    rates = {name for name in PHASE_SETTINGS if name.endswith("learning_rate")}
    return SETTINGS_AGAINST_DIVERGENCE | rates


def join_streams(config: TrainConfig, label_names, trunk_dir: str, branch_dir: str) -> keras.Model:
    """The network of phase 2: the best networks of two runs, frozen, under a new joint layer.

    With `detach_heatmap_kernel` a consistency loss on heatmaps or features is measured but moves
    nothing in this phase: what it could move is frozen.
    """
    trunk, trunk_head = load_stream(trunk_dir)
    branch, branch_head = load_stream(branch_dir)
    network = build_dual_stream(
        trunk,
        branch,
        len(label_names),
        config.pooling,
        detach_heatmap_kernel=config.detach_heatmap_kernel,
        dropout=None if config.dropout < 0 else config.dropout,
        batch_norm_momentum=config.batch_norm_momentum,
        fused_batch_norm=config.fused_batch_norm,
        precision=config.precision,
    )
    if config.fusion_init == "heads":
        start_from_heads(network, trunk_head, branch_head)
    freeze_streams(network)
    return network


def release_streams(config: TrainConfig, label_names, joint_dir: str) -> keras.Model:
    """The network of phase 3: the best one of phase 2, every weight of which may move."""
    del label_names  # The joint layer has them already.
    return rebuild_network(
        load_network(RunFolder(joint_dir).network_file),
        fused=config.fused_batch_norm,
        dtype=None if config.precision == "float32" else config.precision,
        batch_norm_momentum=config.batch_norm_momentum,
        dropout=None if config.dropout < 0 else config.dropout,
        quantization_aware=config.quantization_aware,
    )


def _starts(config):
    """Phase -> what makes its initial network."""
    trunk = config.trunk_run or phase_dir(config, "1a")
    branch = config.branch_run or phase_dir(config, "1b")
    return {
        "1a": start_classifier,
        "1b": start_classifier,
        "2": functools.partial(join_streams, trunk_dir=trunk, branch_dir=branch),
        "3": functools.partial(release_streams, joint_dir=phase_dir(config, "2")),
    }


def _read_accounts(config):
    """Accounts of the finished phases whose network is still there."""
    folder = RunFolder(config.run_dir)
    if not os.path.exists(folder.file(_ACCOUNTS)):
        return {}
    accounts = folder.read_json(_ACCOUNTS)
    networks = {phase: RunFolder(phase_dir(config, phase)).network_file for phase in PHASES}
    return {phase: accounts[phase] for phase in accounts if os.path.isfile(networks[phase])}


def _publish(phase_folder, folder):
    """Copies what an evaluation or export reads of a finished run."""
    for name in ("labels.json", "selection.json", "network.keras"):
        with open(phase_folder.file(name), "rb") as stream:
            write_atomically(folder.file(name), stream.read())

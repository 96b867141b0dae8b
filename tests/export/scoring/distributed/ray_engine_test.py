"""The distributed engine: its parts without Ray, and whole jobs where Ray is installed.

python3.11 -m venv ray-venv && ray-venv/bin/pip install -r requirements-ray.txt
VAC_RAY_PYTHON=ray-venv/bin/python pytest tests/export/scoring/distributed -m 'slow or not slow'
"""

import contextlib
import dataclasses
import errno
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import types
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet

from export.files.atomic_file import WriteError, replace_file
from export.files.remote_files import is_url
from export.scoring.config import ScoringConfig
from export.scoring.distributed import ray_engine
from export.scoring.distributed.part_folder import PartFolder
from export.scoring.distributed.ray_engine import (
    check_resources,
    missing_parts,
    number_of_parts,
    score_with_ray,
)
from export.scoring.distributed.scoring_actor import ScoringActor, decode_inputs, encode_inputs
from export.scoring.engine.job_settings import describe_job
from export.scoring.job import score
from export.scoring.output.writers import open_writer
from export.scoring.runtime.session import NetworkSession
from export.scoring.sources.input import ScoringInput
from export.scoring.sources.open_source import open_source
from tests.export.onnx_models import description, write_channel_mean_model
from tools.python_imports import REPOSITORY

ROOT = REPOSITORY


@pytest.fixture
def config(tmp_path):
    """A job of 150 rows in 13 parts, some without scores, some with names that are not UTF-8."""
    (tmp_path / "photos").mkdir()
    generator = np.random.default_rng(0)
    rows = ["image,x,y,w,h\n"]
    for number in range(50):
        name = f"photos/caf\udce9 {number}.png"
        pixels = generator.integers(0, 256, (9, 7, 3), "uint8")
        Image.fromarray(pixels).save(tmp_path / name)
        rows += [f"{name},,,,\n", f"{name},1,1,3,4\n", f"photos/gone {number}.png,,,,\n"]
    (tmp_path / "list.csv").write_bytes(os.fsencode("".join(rows)))
    return ScoringConfig(
        model=write_channel_mean_model(tmp_path / "model.onnx"),
        images=str(tmp_path / "list.csv"),
        output=str(tmp_path / "scores"),
        batch_size=4,
        rows_per_part=10,
        logits=True,
        heatmaps="peaks",
        engine="ray",
    )


def prepare(config):
    """Source, job and scorer of a config, as the engine makes them."""
    source = open_source(config.images, config.image_root)
    job = describe_job(config, NetworkSession(config.model), source)
    model = Path(config.model).read_bytes()
    return source, job, ScoringActor(config, job, lambda: model, os.getcwd())


def score_missing(config, numbers=None):
    """What the actors do, here one after the other; the parts that were missing."""
    source, job, scorer = prepare(config)
    folder = PartFolder(config.output)
    with folder.lock():
        folder.start_or_continue(job)
        done = []
        for number, inputs in missing_parts(job, source, folder.finished()):
            if numbers is None or number in numbers:
                scorer({"number": np.array([number]), "inputs": np.array([inputs], object)})
                done.append(number)
    return done


def merged(folder, columns_job, path):
    """The parts of a folder joined as the local scorer joins its own."""
    properties = {key: columns_job.settings[key] for key in ("model_sha256", "label_names_sha256")}
    with open_writer(str(path), columns_job.columns, properties) as writer:
        for part in sorted(Path(folder).glob("part-*.parquet")):
            writer.append_part(str(part))
    return Path(path).read_bytes()


def local_output(config, path):
    score(dataclasses.replace(config, engine="local", output=str(path)))
    return Path(path).read_bytes()


def test_the_parts_joined_are_the_local_output_byte_for_byte(config, tmp_path):
    assert score_missing(config) == list(range(13))
    job = prepare(config)[1]
    expected = local_output(config, tmp_path / "local.parquet")
    assert merged(config.output, job, tmp_path / "merged.parquet") == expected
    # Readers of Parquet folders find the rows in input order, and nothing else.
    table = parquet.read_table(config.output)
    assert table["image"] == parquet.read_table(tmp_path / "local.parquet")["image"]


def test_parts_may_come_in_any_order_twice_and_later(config, tmp_path):
    assert score_missing(config, {7, 2, 12}) == [2, 7, 12]
    before = (tmp_path / "scores/part-000007.parquet").read_bytes()
    assert score_missing(config) == [n for n in range(13) if n not in (2, 7, 12)]
    (tmp_path / "scores/_job/part-000007.json").unlink()  # Died between the part and its record.
    assert score_missing(config) == [7]
    assert (tmp_path / "scores/part-000007.parquet").read_bytes() == before
    assert score_missing(config) == []


def test_records_count_their_rows(config):
    score_missing(config)
    records = PartFolder(config.output).finished()
    total = sum((Counter(record["counts"]) for record in records.values()), Counter())
    assert total == {"ok": 100, "missing": 50}
    assert {record["provider"] for record in records.values()} == {"CPUExecutionProvider"}


def test_a_part_full_of_errors_is_not_stored(config, tmp_path):
    lines = ["gone.png\n"] * 150
    (tmp_path / "list.txt").write_text("".join(lines))
    config = dataclasses.replace(config, images=str(tmp_path / "list.txt"), rows_per_part=200)
    source, job, scorer = prepare(config)
    ((number, inputs),) = missing_parts(job, source, {})
    batch = {"number": np.array([number]), "inputs": np.array([inputs], object)}
    (record,) = map(json.loads, scorer(batch)["record"])
    assert re.search("100 of the last 100 images failed.*not mounted", record["stopped"])
    assert PartFolder(config.output).finished() == {}


def test_a_node_that_cannot_open_the_network_says_so(config, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    source, job, _ = prepare(config)
    model = Path(config.model).read_bytes()
    scorer = ScoringActor(
        dataclasses.replace(config, providers="cuda"), job, lambda: model, os.getcwd()
    )
    number, inputs = next(missing_parts(job, source, {}))
    batch = {"number": np.array([number]), "inputs": np.array([inputs], object)}
    (record,) = map(json.loads, scorer(batch)["record"])
    assert "No NVIDIA GPU is visible" in record["stopped"]


def score_part(scorer, number, inputs):
    batch = {"number": np.array([number]), "inputs": np.array([inputs], object)}
    (record,) = map(json.loads, scorer(batch)["record"])
    return record


def test_relative_paths_start_where_the_job_was_started(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = dataclasses.replace(config, images="list.csv")
    source, job, _ = prepare(config)
    with PartFolder(config.output).lock():
        PartFolder(config.output).start_or_continue(job)
    number, inputs = next(missing_parts(job, source, {}))
    model = Path(config.model).read_bytes()
    monkeypatch.chdir("/")  # An actor starts somewhere else.
    scorer = ScoringActor(config, job, lambda: model, str(tmp_path))
    assert score_part(scorer, number, inputs)["counts"] == {"ok": 8, "missing": 4}
    monkeypatch.chdir("/")
    scorer = ScoringActor(config, job, lambda: model, "/not/on/this/node")
    stopped = score_part(scorer, number, inputs)["stopped"]
    assert "has no folder '/not/on/this/node', from which paths such as 'photos/caf" in stopped


def test_a_part_that_cannot_be_stored_stops_the_job_in_one_line(config, tmp_path):
    source, job, scorer = prepare(config)
    number, inputs = next(missing_parts(job, source, {}))
    (tmp_path / "scores").write_text("a file where the folder should be")
    stopped = score_part(scorer, number, inputs)["stopped"]
    assert stopped.startswith("Part 0 cannot be stored in '") and len(stopped.splitlines()) == 1


def test_a_node_whose_disk_is_full_stops_the_job_in_one_line(config, monkeypatch):
    source, job, scorer = prepare(config)
    number, inputs = next(missing_parts(job, source, {}))

    def full(*_):
        raise WriteError(errno.ENOSPC, "Cannot write 'part.parquet': No space left")

    monkeypatch.setattr(scorer, "_part", full)
    assert score_part(scorer, number, inputs)["stopped"].startswith("Cannot write 'part.parquet'")


def test_a_verdict_of_another_processor_is_told_once_for_all_nodes(config, monkeypatch, caplog):
    elsewhere = {"name": "Example 9000", "architecture": "example", "vnni": False}
    verdict = {"accepted": True, "processor": elsewhere | {"provider": "CPUExecutionProvider"}}
    described = dataclasses.replace(description(), precision="int8", verdict=verdict)
    write_channel_mean_model(config.model, described)

    class Local:
        """The dataset of a cluster whose only actor is this process."""

        def __init__(self, _, config, job, parts):
            model = Path(config.model).read_bytes()
            self._scorer, self._parts = ScoringActor(config, job, lambda: model, os.getcwd()), parts

        def iter_rows(self):
            for number, inputs in self._parts:
                yield {"record": json.dumps(score_part(self._scorer, number, inputs))}

    monkeypatch.setattr(ray_engine, "_import_ray", lambda: None)
    monkeypatch.setattr(ray_engine, "_dataset", Local)
    assert score_with_ray(config).counts["ok"] == 100
    (warning,) = (text for text in caplog.messages if "another kind of processor" in text)
    assert warning.startswith(f"Process {os.getpid()} on {socket.gethostname()}: ")
    assert "Example 9000" in warning
    assert "warning" not in (Path(config.output) / "_job/part-000000.json").read_text()


def test_a_lost_part_and_a_broken_record_are_done_again(config, tmp_path):
    score_missing(config)
    (tmp_path / "scores/part-000003.parquet").unlink()
    (tmp_path / "scores/_job/part-000005.json").write_text("{")
    assert score_missing(config) == [3, 5]
    assert score_missing(config) == []


def test_a_part_that_lost_its_end_or_was_changed_is_done_again(config, tmp_path):
    score_missing(config)
    cut, changed = (tmp_path / f"scores/part-00000{number}.parquet" for number in (2, 4))
    before = cut.read_bytes(), changed.read_bytes()
    cut.write_bytes(before[0][:-100])
    changed.write_bytes(before[1][:100] + b"\0" + before[1][101:])
    assert score_missing(config) == [2, 4]
    assert (cut.read_bytes(), changed.read_bytes()) == before


def test_two_hosts_that_store_the_same_part_do_not_meet(tmp_path):
    path = str(tmp_path / "part-000000.parquet")
    with replace_file(path) as first:  # Both processes have one number, each on its host.
        first.write(b"the same ")
        with replace_file(path) as second:
            second.write(b"the same rows")
        first.write(b"rows")
    assert Path(path).read_bytes() == b"the same rows"
    assert os.listdir(tmp_path) == ["part-000000.parquet"]


def test_actors_that_fit_on_no_node_are_refused_and_not_waited_for(config, caplog):
    nodes = [{"CPU": 2.0, "memory": 1e9}, {"CPU": 16.0, "GPU": 1.0}]
    check_resources(dataclasses.replace(config, ray_cpus_per_actor=16.0), nodes, False)
    check_resources(dataclasses.replace(config, ray_gpus_per_actor=0.5), nodes, False)
    large = dataclasses.replace(config, ray_cpus_per_actor=2.0, ray_gpus_per_actor=2.0)
    with pytest.raises(ValueError, match="No node .*ray_gpus_per_actor=2.*: 2 CPU, 0 GPU; 16 CPU"):
        check_resources(large, nodes, False)
    check_resources(large, nodes, True)
    assert "The job waits for one that has." in caplog.text


def test_a_cluster_that_does_not_start_or_answer_ends_the_job_in_one_line(config, monkeypatch):
    def init(*_, **__):
        raise Exception("The current node timed out during startup.")

    ray = types.SimpleNamespace(is_initialized=lambda: False, init=init)
    monkeypatch.setattr(ray_engine, "_import_ray", lambda: ray)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ValueError, match="^Ray cannot be started here: The current node timed"):
        score_with_ray(config)
    with pytest.raises(ValueError, match="^Ray cannot be reached at 'auto': The current node"):
        score_with_ray(dataclasses.replace(config, ray_address="auto"))


def test_another_job_and_foreign_files_are_refused(config, tmp_path):
    score_missing(config, {0})
    with pytest.raises(ValueError, match="parts of another job: .*threshold"):
        score_missing(dataclasses.replace(config, threshold=0.25))
    (tmp_path / "photo album").mkdir()
    (tmp_path / "photo album/a.jpg").write_bytes(b"precious")
    with pytest.raises(ValueError, match="holds files of no job, such as 'a.jpg'"):
        score_missing(dataclasses.replace(config, output=str(tmp_path / "photo album")))
    with PartFolder(config.output).lock():
        with pytest.raises(ValueError, match="Another job writes to this output"):
            score_missing(config)


def test_inputs_survive_their_way_to_another_node():
    inputs = [
        ScoringInput("caf\udce9.jpg", "/a/caf\udce9.jpg"),
        ScoringInput("b\n.jpg", "b\n.jpg", (0.5, float("inf"), 1e300, -0.0)),
        ScoringInput("", "", problem="line 3: no path"),
        ScoringInput("t.tar/é.png", "t.tar", member=(512, 10**12)),
    ]
    assert decode_inputs(encode_inputs(inputs)) == inputs


def test_parts_cover_all_rows_once(config):
    source, job, _ = prepare(config)
    parts = [decode_inputs(text) for _, text in missing_parts(job, source, {})]
    assert len(parts) == number_of_parts(job) == 13
    assert [value for part in parts for value in part] == list(source.read())
    assert all(len(part) % config.batch_size == 0 for part in parts[:-1])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"shard": "1/2"}, "engine=ray does not go with --shard"),
        ({"heatmaps": "maps"}, "engine=ray does not go with --heatmaps=maps"),
        ({"ray_actors": 0}, "ray_actors must be at least 1"),
        ({"ray_cpus_per_actor": 0.0}, "ray_cpus_per_actor must be above 0"),
        ({"engine": "spark"}, "local, ray"),
    ],
)
def test_settings_that_do_not_go_together(config, changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config, **changes)


def test_without_ray_or_fsspec_the_message_says_what_to_install(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match="needs Ray Data.*pip install -r requirements-ray.txt"):
        score_with_ray(config)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ValueError, match="Install fsspec and its package for this storage"):
        open_source("s3://bucket/list.csv")


def test_what_a_url_is():
    assert all(map(is_url, ("s3://bucket/a.jpg", "file:///a.jpg", "abfs+x://a/b")))
    assert not any(map(is_url, ("/a.jpg", "C:/a.jpg", "dir/http://a", "")))


# ---- With Ray


@pytest.fixture
def ray_python():
    """The Python of an environment with requirements-ray.txt."""
    python = os.environ.get("VAC_RAY_PYTHON")
    if not python and importlib.util.find_spec("ray") is None:
        pytest.skip(
            "Ray is not installed here; set VAC_RAY_PYTHON to the Python of an environment"
            " made of requirements-ray.txt"
        )
    return os.path.abspath(python) if python else sys.executable


def score_program(python, config, cwd=None, **changes):
    """Runs score.py with the flags of a config."""
    config = dataclasses.replace(config, **changes)
    defaults = ScoringConfig(model="m", images="i", output="o")
    flags = [
        f"--{field.name}={getattr(config, field.name)}"
        for field in dataclasses.fields(config)
        if getattr(config, field.name) != getattr(defaults, field.name)
    ]
    command = [python, str(ROOT / "score.py"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd)
    assert "Traceback" not in done.stderr, done.stderr
    return done


@contextlib.contextmanager
def ray_head(python, folder):
    """The address of a cluster of this test alone, which ends with the body.

    `ray stop` would end every cluster of this user.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(python).with_name("ray")), "start", "--head", "--block", f"--port={port}"]
    command += ["--num-cpus=2", "--include-dashboard=false"]
    # Paths of sockets may have 107 bytes only, so not below pytest's folder.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:
        log = folder / "ray.log"
        with open(log, "w") as stream:
            head = subprocess.Popen(
                [*command, f"--temp-dir={own}"], cwd=folder, stdout=stream, stderr=stream
            )
        try:
            deadline = time.monotonic() + 120
            while "Ray runtime started" not in log.read_text():
                assert head.poll() is None and time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield f"127.0.0.1:{port}"
        finally:
            head.terminate()  # With --block it ends what it has started.
            head.wait(60)


@pytest.mark.slow
def test_a_job_on_ray_equals_the_local_one_and_goes_on(ray_python, config, tmp_path):
    score_missing(config, {1, 4})
    done = score_program(ray_python, config)
    assert done.returncode == 0, done.stderr
    assert "150 images (24 of them before)" in done.stdout and "ok: 100" in done.stdout
    expected = local_output(config, tmp_path / "local.parquet")
    job = prepare(config)[1]
    assert merged(config.output, job, tmp_path / "merged.parquet") == expected
    manifest = json.loads((tmp_path / "scores/_manifest.json").read_text())
    assert manifest["rows"] == 150 and manifest["counts"] == {"ok": 100, "missing": 50}


@pytest.mark.slow
def test_remote_storage_gives_the_same_rows(ray_python, config, tmp_path):
    """URLs of local files go through fsspec as s3:// would."""
    config = dataclasses.replace(config, engine="local", heatmaps="none")
    expected = parquet_rows(config, tmp_path / "local.parquet")
    remote = f"file://{config.images}"
    done = score_program(ray_python, config, images=remote, output=str(tmp_path / "a.parquet"))
    assert done.returncode == 0, done.stderr
    rows = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert [row["status"] for row in rows] == [row["status"] for row in expected]
    assert [row["red"] for row in rows] == [row["red"] for row in expected]
    done = score_program(
        ray_python, config, images=f"file://{tmp_path}/photos", output=str(tmp_path / "b.parquet")
    )
    assert done.returncode == 0, done.stderr
    assert parquet.read_table(tmp_path / "b.parquet").num_rows == 50
    done = score_program(
        ray_python, config, images=remote, output=f"local://{tmp_path}/c", engine="ray"
    )
    assert done.returncode == 0, done.stderr
    rows = parquet.read_table(tmp_path / "c").to_pylist()
    assert [row["red"] for row in rows] == [row["red"] for row in expected]
    output = str(tmp_path / "d.csv")
    done = score_program(ray_python, config, images="s3://bucket/list.csv", output=output)
    assert done.returncode == 3 and "s3fs" in done.stderr


def parquet_rows(config, output):
    local_output(config, output)
    return parquet.read_table(output).to_pylist()


@pytest.mark.slow
def test_a_node_without_the_gpu_it_was_asked_for_ends_the_job(ray_python, config, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    done = score_program(ray_python, config, providers="cuda")
    assert done.returncode == 3
    assert "A node cannot open the network: CUDAExec" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_relative_paths_of_a_cluster_that_was_started_elsewhere(
    ray_python, config, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # Else both need the same token.
    config = dataclasses.replace(config, images="list.csv", model="model.onnx", output="scores")
    local = {"engine": "local", "output": "local.parquet"}
    assert score_program(ray_python, config, cwd=tmp_path, **local).returncode == 0
    (tmp_path / "elsewhere").mkdir()
    with ray_head(ray_python, tmp_path / "elsewhere") as address:
        done = score_program(ray_python, config, cwd=tmp_path, ray_address=address)
    assert done.returncode == 0, done.stderr
    monkeypatch.chdir(tmp_path)
    job = prepare(config)[1]
    expected = (tmp_path / "local.parquet").read_bytes()
    assert merged("scores", job, tmp_path / "merged.parquet") == expected


@pytest.mark.slow
def test_actors_that_fit_nowhere_end_at_once(ray_python, config):
    done = score_program(ray_python, config, ray_gpus_per_actor=4.0)
    assert done.returncode == 3
    assert "No node of the cluster has --ray_cpus_per_actor=1" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_node_that_is_killed_loses_nothing(ray_python, tmp_path):
    (tmp_path / "photos").mkdir()
    for seed in range(4):
        pixels = np.random.default_rng(seed).integers(0, 256, (960, 1280, 3), "uint8")
        Image.fromarray(pixels).save(tmp_path / f"photos/{seed}.jpg")
    model = write_channel_mean_model(tmp_path / "model.onnx")
    command = [ray_python, "-m", "benchmarks.ray_two_nodes", f"--model={model}"]
    command += [f"--images={tmp_path / 'photos'}", "--rows=600", "--rows_per_part=32"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout[done.stdout.index("{\n") :])
    assert figures["equal"] and figures["rows"] == 600
    assert figures["nodes"] == [2, 1]
    stored = sum(figures["parts_by_process_before"].values())
    assert stored < sum(figures["parts_by_process"].values()) == 19  # Of whole batches of 32.

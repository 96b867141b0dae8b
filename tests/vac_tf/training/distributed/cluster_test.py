"""TF_CONFIG: what is read from it, what is refused, and workers that do not answer."""

import json
import socket

import pytest

from tests.vac_tf.training.distributed.worker_processes import free_addresses
from vac_tf.configs.classification import TrainConfig
from vac_tf.runs.lock import lock_run
from vac_tf.training.distributed.cluster import Cluster, read_cluster, wait_for_workers
from vac_tf.training.distributed.start import find_cluster
from vac_tf.training.run import run

TWO = ["a:1", "b:2"]


def environment(cluster, task):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def test_workers_are_read_in_order():
    read = read_cluster(environment({"worker": TWO}, {"type": "worker", "index": 1}))
    assert read == Cluster(("a:1", "b:2"), 1) and not read.is_chief
    jobs = {"worker": TWO, "chief": ["c:3"]}
    assert read_cluster(environment(jobs, {"type": "chief", "index": 0})).is_chief
    read = read_cluster(environment(jobs, {"type": "worker", "index": 0}))
    assert read == Cluster(("c:3", "a:1", "b:2"), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is not set"),
        ("{worker", "it is no JSON"),
        ("[]", "it has no object 'cluster'"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}}', "it has no object 'task'"),
    ],
)
def test_a_malformed_variable_is_refused(text, message):
    with pytest.raises(ValueError, match=rf"TF_CONFIG cannot be used: {message}.*host0:2222"):
        read_cluster({"TF_CONFIG": text})


@pytest.mark.parametrize(
    ("cluster", "task", "message"),
    [
        ({"worker": TWO}, {"type": "worker", "index": 2}, "index 2, but its cluster 2 of 'worker'"),
        ({"worker": TWO}, {"type": "worker", "index": "0"}, "index '0', but"),
        ({"worker": TWO}, {"type": "chief", "index": 0}, "type 'chief', of which"),
        ({"worker": ["a:1", "a:1"]}, {"type": "worker", "index": 0}, "address 'a:1' twice"),
        ({"worker": ["a"]}, {"type": "worker", "index": 0}, "'a' instead of host:port"),
        ({"worker": ["a:99999"]}, {"type": "worker", "index": 0}, "instead of host:port"),
        ({"worker": "a:1"}, {"type": "worker", "index": 0}, "worker is no list"),
        ({"chief": TWO}, {"type": "chief", "index": 0}, "2 chiefs"),
        ({"ps": TWO}, {"type": "ps", "index": 0}, "job 'ps'"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(cluster, task, message):
    with pytest.raises(ValueError, match=message):
        read_cluster(environment(cluster, task))


def test_one_worker_and_a_cache_in_the_run_folder_are_refused(monkeypatch):
    config = TrainConfig(run_dir="unused", strategy="multi_worker")
    task = {"type": "worker", "index": 0}
    monkeypatch.setenv("TF_CONFIG", environment({"worker": ["a:1"]}, task)["TF_CONFIG"])
    with pytest.raises(ValueError, match="names one, a:1: use --strategy=mirrored"):
        find_cluster(config)
    monkeypatch.setenv("TF_CONFIG", environment({"worker": TWO}, task)["TF_CONFIG"])
    assert find_cluster(config).addresses == tuple(TWO)
    cached = TrainConfig(run_dir="unused", strategy="multi_worker", cache="disk")
    with pytest.raises(ValueError, match="needs --cache_dir"):
        find_cluster(cached)
    assert find_cluster(TrainConfig(run_dir="unused")) is None


def test_a_worker_that_does_not_answer_is_named():
    own, silent = free_addresses(2)
    message = f"Worker 0 could not reach {silent} within 0.1 s.*--connection_seconds"
    with pytest.raises(ValueError, match=message):
        wait_for_workers(Cluster((own, silent), 0), seconds=0.1)
    with socket.create_server(("localhost", int(silent.partition(":")[2]))):
        wait_for_workers(Cluster((own, silent), 0), seconds=30.0)


def test_a_port_in_use_is_named():
    with socket.create_server(("", 0)) as taken:
        own = f"localhost:{taken.getsockname()[1]}"
        with pytest.raises(ValueError, match=f"Port .* of this worker, {own}, cannot be used"):
            wait_for_workers(Cluster((own, "localhost:1"), 0), seconds=0.1)


def test_only_the_chief_asks_for_the_run_folder(monkeypatch, tmp_path):
    """Another run trains in it: the chief is refused; a worker goes on to wait for its chief."""
    addresses = free_addresses(2)
    settings = {"strategy": "multi_worker", "connection_seconds": 0.1}
    config = TrainConfig(run_dir=str(tmp_path), **settings)
    messages = ["trains in", f"Worker 1 could not reach {addresses[0]} within"]
    with lock_run(str(tmp_path)):
        for index, message in enumerate(messages):
            task = {"type": "worker", "index": index}
            variable = environment({"worker": addresses}, task)["TF_CONFIG"]
            monkeypatch.setenv("TF_CONFIG", variable)
            with pytest.raises(ValueError, match=message):
                run(config)

"""The commands of docs/distributed_training.md."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.programs.documentation import SHRUNK, page, write_data
from tests.vac_tf.training.distributed.worker_processes import free_addresses, results_of
from tools.python_imports import REPOSITORY
from vac_tf.training.distributed.cluster import read_cluster

PAGE = "docs/distributed_training.md"
PRINT_CONFIG = "printf '%s\\n' \"$TF_CONFIG\""


def block(language):
    (text,) = re.findall(rf"```{language}\n(.*?)```", page(PAGE), flags=re.DOTALL)
    return text


@pytest.mark.slow
def test_the_commands_for_two_hosts_train_one_run(tmp_path):
    write_data(tmp_path)
    addresses = free_addresses(2)
    processes = []
    for line in block("bash").strip().splitlines():
        for number, address in enumerate(addresses):
            line = line.replace(f"host{number}:2222", address)
        variable, python, program, *arguments = shlex.split(line)
        name, _, value = variable.partition("=")
        assert (name, python, program) == ("TF_CONFIG", "python", "train.py")
        command = [sys.executable, str(REPOSITORY / program), *arguments, *SHRUNK[program]]
        environment = os.environ | {name: value}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, cwd=tmp_path, env=environment, **options))
    assert [code for code, _ in results_of(processes)] == [0, 0]
    assert (tmp_path / "runs/shared/network.keras").exists()


def test_slurm_gives_every_task_its_configuration(tmp_path):
    for name, lines in {"scontrol": "printf 'n1\\nn2\\n'", "srun": '"$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{lines}\n")
        (tmp_path / name).chmod(0o755)
    print_it = "env | grep ^TF_CONFIG="
    script = re.sub(r"^python train.py [^']*", print_it, block("slurm"), flags=re.MULTILINE)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_PROCID": "1"}
    environment |= {"SLURM_JOB_NODELIST": "n[1-2]"}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    value = done.stdout.strip().removeprefix("TF_CONFIG=")
    cluster = read_cluster({"TF_CONFIG": value})
    assert (cluster.addresses, cluster.index) == (("n1:2222", "n2:2222"), 1)


def test_kubernetes_gives_every_pod_its_configuration():
    (assignment,) = re.findall(r"export (TF_CONFIG='.*');", block("yaml"))
    done = subprocess.run(
        ["bash", "-c", f"{assignment}; {PRINT_CONFIG}"],
        env={"PATH": os.environ["PATH"], "JOB_COMPLETION_INDEX": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    cluster = read_cluster({"TF_CONFIG": done.stdout})
    assert len(cluster.addresses) == 2 and cluster.index == 1
    assert json.loads(done.stdout)["task"]["index"] == 1

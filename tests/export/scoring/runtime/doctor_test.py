"""What the doctor says of hosts, this one and imagined ones."""

import dataclasses
import subprocess
import sys

import pytest

from export.scoring.runtime.doctor import consult_doctor
from export.scoring.runtime.host_facts import CPU, CUDA, TENSORRT, HostFacts, examine_host
from export.scoring.runtime.host_problems import find_problems, gpu_problems, tensorrt_problems
from tests.export.onnx_models import description, write_channel_mean_model
from tools.python_imports import REPOSITORY

ROOT = REPOSITORY
NO_CUDNN = "libcudnn.so.9: cannot open shared object file: No such file or directory"
GOOD = {"onnxruntime-gpu": "1.31.1", "pyarrow": "21.0"}


def host(packages=GOOD, **changes):
    values = {
        "providers": (CUDA, CPU),
        "gpu_visible": True,
        "driver": "580.65.06",
        "cuda_version": 13,
    }
    return HostFacts(packages, **(values | changes))


def test_healthy_hosts_have_no_problem():
    assert find_problems(host()) == []
    without_gpu = host(gpu_visible=False, driver="", cuda_error=NO_CUDNN)
    assert find_problems(without_gpu) == []
    cpu_only = host({"onnxruntime": "1.31.1", "pyarrow": "21.0"}, gpu_visible=False)
    assert find_problems(cpu_only) == []
    assert find_problems(host({"onnxruntime": "1.31.1"}, gpu_visible=False)) == []


@pytest.mark.parametrize(
    "facts, found, mend",
    [
        (
            host(GOOD | {"onnxruntime": "1.31.1"}),
            "Both onnxruntime and",
            "uninstall -y onnxruntime",
        ),
        (
            host({"pyarrow": "21.0"}, runtime_error="No module named"),
            "imported: No module",
            "-r req",
        ),
        (host(providers=(CPU,)), "built without CUDA", "pip install onnxruntime-gpu"),
        (host(cuda_error=NO_CUDNN), "cannot be loaded: libcudnn.so.9", "[cuda,cudnn]"),
        (host(cudnn_error=NO_CUDNN), "cuDNN cannot be loaded: libcudnn.so.9", "[cuda,cudnn]"),
        (
            host(cuda_error="libcuda.so.1: cannot open shared object file"),
            "driver's libcuda.so.1 is missing",
            "--gpus=all",
        ),
        (host(driver="535.104.05"), "535.104.05 is too old for CUDA 13", "driver 580"),
    ],
)
def test_each_problem_is_named_alone_with_what_mends_it(facts, found, mend):
    (problem,) = find_problems(facts)
    assert found in problem
    assert mend in problem.split("Mend: ")[1]


def test_tensorflow_beside_a_provider_that_cannot_be_loaded_is_a_suspect():
    with_tensorflow = GOOD | {"tensorflow": "2.21.0"}
    problems = find_problems(host(with_tensorflow, cuda_error=NO_CUDNN))
    assert len(problems) == 2 and "an environment of requirements-scoring.txt" in problems[0]
    assert find_problems(host(with_tensorflow)) == []


def test_libraries_of_another_cuda_version_are_a_suspect():
    cuda_12 = GOOD | {"nvidia-cublas-cu12": "12.9", "nvidia-cudnn-cu13": "9.9"}
    problems = find_problems(host(cuda_12, cuda_error="libcublasLt.so.13: cannot open"))
    assert len(problems) == 2
    assert "(nvidia-cublas-cu12), this ONNX Runtime was built for CUDA 13. Mend: pip" in problems[0]
    assert find_problems(host(cuda_12)) == []


def test_tensorrt_is_missed_only_where_it_is_asked_for():
    no_library = host(providers=(TENSORRT, CUDA, CPU), tensorrt_error="libnvinfer.so.10: no")
    assert gpu_problems(no_library) == []
    (problem,) = tensorrt_problems(no_library)
    assert "libnvinfer.so.10" in problem and "tensorrt-cu13" in problem.split("Mend: ")[1]
    (problem,) = tensorrt_problems(host())
    assert "built without TensorRT" in problem
    assert tensorrt_problems(host(providers=(TENSORRT, CUDA, CPU))) == []


def test_a_provider_that_is_asked_for_is_examined_without_a_model(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    for choice in ("cuda", "tensorrt"):
        text, is_well = consult_doctor("", choice)
        assert "PROBLEM    No NVIDIA GPU is visible. Mend: check nvidia-smi" in text
        assert not is_well
    for choice in ("auto", "cpu"):
        assert "No NVIDIA GPU is visible" not in consult_doctor("", choice)[0]


def test_this_host_is_examined():
    facts = examine_host()
    assert CPU in facts.providers and not facts.runtime_error
    assert {"numpy", "pillow", "absl-py"} <= facts.packages.keys()
    if CUDA in facts.providers:
        assert facts.cuda_version >= 12


def test_a_model_is_opened_as_a_job_would(tmp_path, monkeypatch):
    model = write_channel_mean_model(tmp_path / "model.onnx")
    text, _ = consult_doctor(model, "cpu")
    assert f"opens: {CPU}" in text
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    text, is_well = consult_doctor(model, "cuda")
    assert "does not open" in text and "No NVIDIA GPU is visible" in text and not is_well
    text, is_well = consult_doctor(str(tmp_path / "nothing.onnx"), "cpu")
    assert "No model at" in text and not is_well


def test_what_a_job_would_warn_of_is_said_and_no_problem(tmp_path):
    verdict = {"accepted": True, "processor": {"name": "Example 9000", "architecture": "example"}}
    described = dataclasses.replace(description(), precision="int8", verdict=verdict)
    model = write_channel_mean_model(tmp_path / "model.onnx", described)
    text, is_well = consult_doctor(model, "cpu")
    assert "WARNING    " in text and "Example 9000" in text
    assert is_well == consult_doctor("", "cpu")[1]


def test_the_program_answers_where_onnxruntime_cannot_be_imported():
    source = (
        "import runpy, sys; sys.modules['onnxruntime'] = None;"
        "sys.argv = ['score.py', '--doctor']; runpy.run_path('score.py', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "PROBLEM    ONNX Runtime cannot be imported" in done.stdout

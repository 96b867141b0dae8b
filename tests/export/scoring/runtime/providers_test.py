"""The choice of a GPU and the reasons against it, with made-up lists of providers and nodes."""

import dataclasses
from collections import Counter

import onnxruntime
import pytest

from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.report import ScoringReport
from export.scoring.runtime import session as session_module
from export.scoring.runtime.doctor import consult_doctor
from export.scoring.runtime.host_facts import CPU, CUDA, TENSORRT, HostFacts
from export.scoring.runtime.node_placement import (
    RECORD_PLACEMENT,
    check_placement,
    count_convolutions,
    describe_placement,
    read_placement,
)
from export.scoring.runtime.providers import (
    ProviderError,
    check_provider,
    choose_providers,
    diagnose,
    provider_options,
)
from export.scoring.runtime.session import NetworkSession
from tests.export.onnx_models import write_channel_mean_model

EVERYTHING = [TENSORRT, CUDA, CPU]
HOST = HostFacts(
    {"onnxruntime-gpu": "1.31.1"}, "", EVERYTHING, True, driver="580.65", cuda_version=13
)


def test_providers_are_chosen():
    assert choose_providers("auto", [CPU], gpu_visible=False) == [CPU]
    assert choose_providers("auto", EVERYTHING, gpu_visible=False) == [CPU]
    assert choose_providers("auto", EVERYTHING, gpu_visible=True) == [CUDA, CPU]
    assert choose_providers("cuda", EVERYTHING, gpu_visible=True) == [CUDA, CPU]
    assert choose_providers("cpu", EVERYTHING, gpu_visible=True) == [CPU]
    assert choose_providers("tensorrt", EVERYTHING, gpu_visible=True) == EVERYTHING
    assert choose_providers("tensorrt", [TENSORRT, CPU], gpu_visible=True) == [TENSORRT, CPU]


@pytest.mark.parametrize("choice", ["auto", "cuda"])
def test_a_gpu_beside_a_runtime_for_cpus_is_an_error(choice):
    with pytest.raises(ProviderError, match="built without CUDA.*onnxruntime-gpu.*--providers=cpu"):
        choose_providers(choice, [CPU], gpu_visible=True)


@pytest.mark.parametrize("choice", ["cuda", "tensorrt"])
def test_a_gpu_that_is_asked_for_and_not_visible_is_an_error(choice):
    with pytest.raises(ProviderError, match="No NVIDIA GPU is visible.*nvidia-smi"):
        choose_providers(choice, EVERYTHING, gpu_visible=False)


def test_a_runtime_without_tensorrt_is_an_error():
    with pytest.raises(ProviderError, match="without TensorRT.*--providers=cuda"):
        choose_providers("tensorrt", [CUDA, CPU], gpu_visible=True)


def test_a_session_without_the_gpu_it_was_asked_for_is_an_error():
    check_provider([CUDA, CPU], [CUDA, CPU])
    with pytest.raises(ProviderError, match=f"{CUDA} cannot be used"):
        check_provider([CUDA, CPU], [CPU])


@pytest.mark.parametrize(
    "changes, cause",
    [
        ({"packages": {"onnxruntime": "1", "onnxruntime-gpu": "1"}}, "uninstall -y onnxruntime on"),
        ({"cuda_error": "libcublasLt.so.13: no such file"}, "libcublasLt.so.13.*cuda,cudnn"),
        ({"cudnn_error": "libcudnn.so.9: no such file"}, "cuDNN cannot be loaded.*cuda,cudnn"),
        ({"driver": "535.1"}, "535.1 is too old for CUDA 13. Mend: install driver 580"),
        ({"gpu_visible": False}, "No NVIDIA GPU is visible"),
        ({}, "another process may hold the GPU's memory"),
    ],
)
def test_the_diagnosis_names_the_cause_and_what_mends_it(changes, cause):
    text = diagnose(CUDA, dataclasses.replace(HOST, **changes), "CUDA failure 35")
    assert text.startswith(f"{CUDA} cannot be used. ")
    assert "ONNX Runtime says: CUDA failure 35" in text and "--providers=cpu" in text
    assert len(text.splitlines()) == 1
    with pytest.raises(ProviderError, match=cause):
        raise ProviderError(text)


def test_options_of_the_gpu():
    options = provider_options(CUDA, "ab12", gpu_memory_mb=2048)
    assert options["cudnn_conv_algo_search"] == "HEURISTIC"
    assert options["arena_extend_strategy"] == "kSameAsRequested"
    assert options["gpu_mem_limit"] == str(2 * 2**30)
    assert "gpu_mem_limit" not in provider_options(CUDA, "ab12")
    assert provider_options(TENSORRT, "ab12", 1)["trt_max_workspace_size"] == str(2**20)
    assert provider_options(CPU, "ab12", 2048) == {}


def test_engines_of_a_network_that_was_trained_again_are_not_those_of_the_one_before():
    first, second = (provider_options(TENSORRT, sha256) for sha256 in ("ab12", "cd34"))
    assert first["trt_engine_cache_path"] != second["trt_engine_cache_path"]


class SessionOnGpu:
    """A session that says it runs on a GPU."""

    def __init__(self, session):
        self._session = session

    def get_providers(self):
        return [CUDA, CPU]

    def __getattr__(self, name):
        return getattr(self._session, name)


class BufferWithoutKernels:
    """What a GPU without cuDNN does: it takes the images and computes nothing."""

    def __init__(self, *arguments):
        pass

    def upload(self, images):
        pass

    def run(self, outputs):
        raise RuntimeError("NOT_IMPLEMENTED : cuDNN is not available")


@pytest.fixture
def gpu_that_cannot_run(monkeypatch):
    """Sessions whose GPU opens every network and runs none."""
    open_session = session_module._open_session

    def open_on_gpu(*arguments):
        session, _ = open_session(*arguments)
        return SessionOnGpu(session), f"53 of 53 convolutions on {CUDA}"

    monkeypatch.setattr(session_module, "_open_session", open_on_gpu)
    monkeypatch.setattr(session_module, "GpuInputBuffer", BufferWithoutKernels)


def test_a_gpu_that_opens_a_network_and_cannot_run_it_is_diagnosed(tmp_path, gpu_that_cannot_run):
    model = write_channel_mean_model(tmp_path / "model.onnx")
    with pytest.raises(ProviderError, match=f"{CUDA} cannot be used.*cuDNN is not available"):
        NetworkSession(model).warm_up(4)
    config = ScoringConfig(model, str(tmp_path / "a.png"), output=str(tmp_path / "scores.csv"))
    (tmp_path / "a.png").touch()
    with pytest.raises(ProviderError, match="cuDNN is not available"):
        score(config)
    assert not (tmp_path / "scores.csv.parts").exists()
    text, is_well = consult_doctor(model, "cpu")
    assert "does not open" in text and "cuDNN is not available" in text and not is_well


ON_GPU = [(CPU, "Shape"), *[(CUDA, "Conv")] * 53, (CUDA, "Relu")]


def test_convolutions_on_the_gpu_are_proof():
    counts = count_convolutions(ON_GPU)
    assert counts == {CUDA: 53}
    check_placement([CUDA, CPU], counts)
    assert describe_placement(counts) == f"53 of 53 convolutions on {CUDA}"
    check_placement([TENSORRT, CUDA, CPU], Counter({TENSORRT: 50, CUDA: 3}))
    check_placement([CPU], Counter({CPU: 53}))


@pytest.mark.parametrize(
    "wanted, nodes",
    [
        ([CUDA, CPU], [*ON_GPU, (CPU, "QLinearConv")]),
        ([CUDA, CPU], [(CPU, "FusedConv"), (CUDA, "Relu")]),
        ([TENSORRT, CUDA, CPU], ON_GPU),
        ([CUDA, CPU], []),
    ],
)
def test_convolutions_elsewhere_are_an_error(wanted, nodes):
    with pytest.raises(ProviderError, match=f"^{wanted[0]} opens the model, but .* Mend: "):
        check_placement(wanted, count_convolutions(nodes))


def test_a_network_without_convolutions_is_judged_by_all_its_nodes():
    check_placement([CUDA, CPU], count_convolutions([(CUDA, "Gemm"), (CUDA, "Sigmoid")]))
    with pytest.raises(ProviderError):
        check_placement([CUDA, CPU], count_convolutions([(CPU, "Gemm"), (CUDA, "Sigmoid")]))


def test_a_session_says_where_its_nodes_went(tmp_path):
    path = write_channel_mean_model(tmp_path / "model.onnx")
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(RECORD_PLACEMENT, "1")
    session = onnxruntime.InferenceSession(path, options, [CPU])
    assert {(CPU, "ReduceMean"), (CPU, "Sigmoid")} <= set(read_placement(session))


def test_a_gpu_whose_libraries_are_missing_is_an_error_and_never_the_cpu(tmp_path, monkeypatch):
    path = write_channel_mean_model(tmp_path / "model.onnx")
    if CUDA not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime was built without CUDA")
    if session_module.gpu_is_visible():
        pytest.skip("this host has a GPU")
    monkeypatch.setattr(session_module, "gpu_is_visible", lambda: True)
    for choice in ("auto", "cuda"):
        with pytest.raises(ProviderError, match=f"{CUDA} cannot be used"):
            NetworkSession(path, choice)


def test_the_warm_up_is_reported_apart():
    report = ScoringReport({"ok": 2}, 10.0, "scores.csv", CUDA, warm_up_seconds=3.25)
    assert f"in 10.0 s (warm-up 3.2 s) on {CUDA} -> scores.csv" in str(report)
    assert "warm-up" not in str(dataclasses.replace(report, warm_up_seconds=0.0))

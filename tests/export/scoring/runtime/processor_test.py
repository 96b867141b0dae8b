"""A verdict on a precision holds for the processor on which it was given."""

import dataclasses
import logging

import pytest

from export.scoring.config import ScoringConfig
from export.scoring.job import score
from export.scoring.runtime.processor import compare_with_verdict, describe_processor
from tests.export.onnx_models import description, write_channel_mean_model

WARNING = "was judged on another kind of processor"


def warnings_of_job(tmp_path, caplog, precision, verdict):
    """What a job with such a model file says; its list of images is one missing file."""
    described = dataclasses.replace(description(), precision=precision, verdict=verdict)
    model = write_channel_mean_model(tmp_path / "bundle" / "model_int8.onnx", described)
    (tmp_path / "list.txt").write_text("missing.jpg\n")
    output = str(tmp_path / "scores.csv")
    with caplog.at_level(logging.WARNING):
        score(ScoringConfig(model, str(tmp_path / "list.txt"), output=output, max_error_share=1.0))
    return caplog.text


@pytest.fixture(autouse=True)
def bundle_folder(tmp_path):
    (tmp_path / "bundle").mkdir()


def test_a_verdict_of_another_processor_is_named_with_the_command_that_judges_again(
    tmp_path, caplog
):
    elsewhere = {
        "name": "Example 9000",
        "architecture": "example",
        "vnni": False,
        "provider": "CPUExecutionProvider",
    }
    verdict = {"accepted": True, "processor": elsewhere}
    text = warnings_of_job(tmp_path, caplog, "int8", verdict)
    assert WARNING in text and "Example 9000" in text and "architecture example" in text
    command = f"export_model.py --run_dir=RUN --bundle_dir={tmp_path}/bundle --precisions=fp32,int8"
    assert command in text


def test_the_own_processor_is_no_reason_to_warn(tmp_path, caplog):
    own = describe_processor("CPUExecutionProvider")
    assert isinstance(own["vnni"], bool) and own["name"] and own["architecture"]
    text = warnings_of_job(tmp_path, caplog, "int8", {"accepted": True, "processor": own})
    assert WARNING not in text


def test_float32_is_the_same_everywhere(tmp_path, caplog):
    assert WARNING not in warnings_of_job(tmp_path, caplog, "fp32", {"accepted": True})


def test_on_a_gpu_no_command_is_named_that_would_judge_on_the_cpu_again(tmp_path):
    verdict = {"accepted": True, "processor": describe_processor("CPUExecutionProvider")}
    described = dataclasses.replace(description(), precision="fp16", verdict=verdict)
    text = compare_with_verdict(described, "CUDAExecutionProvider", "bundle/model_fp16.onnx")
    assert f"{WARNING} than this" in text
    assert "provider CPUExecutionProvider there, CUDAExecutionProvider here" in text
    assert "export_model.py" not in text and "with the fp32 file" in text

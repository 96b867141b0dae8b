"""The comparison of exported files with the Keras network finds every kind of difference."""

import numpy as np
import pytest

from export.building.gate.parity import (
    Candidate,
    DecisionError,
    ExportParityError,
    OutputNamesError,
    OutputShapeError,
    OutputValueError,
    check_candidates,
    raise_failures,
)

THRESHOLDS = np.float32([0.5, 0.5])
TOLERANCE = 1e-3


def network(inputs):
    """Two logits per input, far from the threshold."""
    logits = np.stack([inputs + 1, -inputs - 1], axis=1).astype(np.float32)
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return {"logits": logits, "probabilities": probabilities}


INPUTS = np.arange(10, dtype=np.float32)


def check(predict, reference=None, batch_sizes=(1, 3, 8)):
    candidate = Candidate("onnx", predict, INPUTS, reference or network(INPUTS))
    return check_candidates([candidate], ("cat", "dog"), THRESHOLDS, TOLERANCE, batch_sizes)


def changed(name, change):
    """`network` with `change` applied to one of its outputs."""

    def predict(inputs):
        outputs = network(inputs)
        return outputs | {name: change(outputs[name])}

    return predict


def test_equal_outputs_pass_at_every_batch_size():
    sizes = []

    def predict(inputs):
        sizes.append(len(inputs))
        return network(inputs)

    failures, report = check(predict)
    assert failures == []
    assert sizes == [1] * 10 + [3, 3, 3, 1] + [8, 2]
    assert set(report["onnx"]) == {"batch_1", "batch_3", "batch_8"}
    for figures in report["onnx"].values():
        expected = {"logits": 0, "probabilities": 0, "decisions": 20, "decisions_changed": 0}
        assert figures == expected


def test_names():
    failures, _ = check(lambda inputs: {"logits": network(inputs)["logits"]}, batch_sizes=(8,))
    assert [type(failure) for failure in failures] == [OutputNamesError]
    assert "outputs logits; expected logits, probabilities" in str(failures[0])


@pytest.mark.parametrize("change", [lambda x: x[:, :1], lambda x: x[1:], lambda x: x.astype(float)])
def test_shapes_and_dtypes(change):
    failures, _ = check(changed("logits", change), batch_sizes=(3,))
    assert [type(failure) for failure in failures] == [OutputShapeError]
    assert "expected float32 of shape (3, 2)" in str(failures[0])


def test_values_carry_the_numbers():
    failures, report = check(changed("logits", lambda x: x + np.float32(0.5)), batch_sizes=(8,))
    assert [type(failure) for failure in failures] == [OutputValueError]
    assert "logits differ by up to 0.5, allowed are 0.01" in str(failures[0])
    assert report["onnx"]["batch_8"]["logits"] == 0.5


def test_logits_are_compared_relative_to_their_size():
    assert check(changed("logits", lambda x: x + np.float32(0.009)))[0] == []
    assert check(changed("probabilities", lambda x: x - np.float32(0.009)))[0] != []


def test_not_a_number_fails():
    failures, _ = check(changed("logits", lambda x: x * np.float32(np.nan)), batch_sizes=(8,))
    assert [type(failure) for failure in failures] == [OutputValueError]


def test_one_wrong_batch_size_is_found():
    def predict(inputs):
        outputs = network(inputs)
        return outputs if len(inputs) != 3 else outputs | {"logits": outputs["logits"] * 2}

    failures, _ = check(predict)
    assert len(failures) == 1 and "onnx at batch 3" in str(failures[0])


def test_decisions():
    failures, report = check(changed("probabilities", lambda x: 1 - x), batch_sizes=(8,))
    assert {type(failure) for failure in failures} == {OutputValueError, DecisionError}
    (decision,) = [failure for failure in failures if isinstance(failure, DecisionError)]
    assert "20 of 20 decisions differ; the first is label 'cat' of image 0" in str(decision)
    assert report["onnx"]["batch_8"]["decisions_changed"] == 20


def test_decisions_at_the_threshold_are_counted_but_no_failure():
    reference = network(INPUTS)
    reference["probabilities"] = np.full((10, 2), 0.5, np.float32)

    def predict(inputs):
        outputs = network(inputs)
        return outputs | {"probabilities": np.full_like(outputs["probabilities"], 0.5001)}

    failures, report = check(predict, reference)
    assert failures == []
    assert report["onnx"]["batch_1"]["decisions_changed"] == 20


def test_all_failures_are_raised_at_once_under_the_class_of_the_first():
    raise_failures([])
    failures = [OutputShapeError("shape"), OutputValueError("value")]
    with pytest.raises(OutputShapeError, match="2 differences.*shape value") as caught:
        raise_failures(failures)
    assert caught.value.failures == tuple(failures)
    assert isinstance(caught.value, ExportParityError)


def test_a_message_holds_the_first_failures_only():
    failures = [OutputValueError(f"value {number}.") for number in range(24)]
    with pytest.raises(OutputValueError) as caught:
        raise_failures(failures)
    assert str(caught.value).endswith("value 3. value 4. And 19 more.")
    assert len(caught.value.failures) == 24

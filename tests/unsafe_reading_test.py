"""No file of a user is read in a way that could run what it holds.

Pickles, and what reads them, run code of whoever wrote the file. The calls are looked for in the
syntax trees of what is installed; the few that there are stand below, with why they are safe.
"""

import ast
import os

import keras
import numpy as np
import pytest

from tools.python_imports import REPOSITORY, imported_names, python_files, syntax_tree
from vac_tf.models.saving import load_network

# Modules whose readers run code, or that are pickles in disguise.
MODULES = ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib")
# An unpickler that knows tensors and refuses every other name (tensor_file_test.py).
RESTRICTED = {"vac_tf/models/weights/torch_pickle.py"}
# Gives the code of a program of this project, which it found by its name.
RUNS_ITS_OWN = {("command/main.py", "exec")}
# Reads a `.keras` file with Keras's safe mode, which is on unless it is switched off.
INSTALLED = [
    path
    for path in python_files()
    if path.startswith(("vac_tf/", "export/", "flags/", "command/")) or "/" not in path
]


def name_of(node):
    """`np.load` of the call `np.load(...)`."""
    return ast.unparse(node.func)


def calls():
    for path in INSTALLED:
        for node in ast.walk(syntax_tree(path)):
            if isinstance(node, ast.Call):
                yield path, node


def keyword(call, name):
    return next((ast.unparse(each.value) for each in call.keywords if each.arg == name), None)


def test_nothing_is_unpickled():
    users = {
        path
        for path in INSTALLED
        if {name.split(".")[0] for name in imported_names(syntax_tree(path))} & set(MODULES)
    }
    assert users == RESTRICTED


def test_numpy_reads_no_objects():
    for path, call in calls():
        if name_of(call) in ("np.load", "numpy.load"):
            assert keyword(call, "allow_pickle") in (None, "False"), path
        assert "allow_pickle" not in ast.unparse(call) or name_of(call) == "np.load", path
    for path in INSTALLED:
        assert "allow_pickle=True" not in ast.unparse(syntax_tree(path)), path


def test_torch_and_yaml_are_not_read_by_their_own_readers():
    unsafe = ("torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "pd.read_pickle")
    assert [(path, name_of(call)) for path, call in calls() if name_of(call) in unsafe] == []


def test_keras_is_left_in_its_safe_mode():
    for path, call in calls():
        assert keyword(call, "safe_mode") in (None, "True"), path
        assert "enable_unsafe_deserialization" not in name_of(call), path


def test_no_text_is_run():
    found = {(path, name_of(call)) for path, call in calls() if name_of(call) in ("eval", "exec")}
    assert found == RUNS_ITS_OWN


def test_a_network_file_that_would_run_code_is_refused(tmp_path):
    """What the rule about Keras rests on: a Lambda layer is a pickle of Python's byte code."""
    mark = str(tmp_path / "was_run")
    inputs = keras.Input((4,))
    outputs = keras.layers.Lambda(lambda x: (open(mark, "w").close(), x)[1])(inputs)
    path = str(tmp_path / "network.keras")
    keras.Model(inputs, outputs).save(path)
    os.remove(mark)  # Building the layer ran it.
    with pytest.raises(ValueError, match="cannot be read as a .keras file"):
        load_network(path)
    assert not os.path.exists(mark)


def test_an_array_file_that_would_run_code_is_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "was_run"), "w"))

    path = tmp_path / "state.npz"
    np.savez(path, x=np.array([Hostile()], dtype=object))
    with np.load(path) as arrays, pytest.raises(ValueError, match="allow_pickle"):
        arrays["x"]
    assert not (tmp_path / "was_run").exists()


def test_the_rules_look_at_what_is_installed():
    assert {"train.py", "vac_tf/runs/folder.py", "export/scoring/job.py"} <= set(INSTALLED)
    assert (REPOSITORY / "train.py").exists()

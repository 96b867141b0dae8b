"""The tutorial, executed as by a reader: every cell, in a kernel and an empty folder."""

import ast
import re

import nbformat
import pytest
from nbclient import NotebookClient

from tools.python_imports import REPOSITORY

pytestmark = pytest.mark.timeout(1200)  # Seconds of work, which a busy machine draws out.
FILE = REPOSITORY / "docs" / "tutorial.ipynb"
MOST_LINES = 25  # Of the cells tagged `persona`: own parts trained, continued, exported, scored.


def cells(kind="code", tag=None):
    return [
        cell
        for cell in nbformat.read(FILE, as_version=4).cells
        if cell.cell_type == kind and (tag is None or tag in cell.metadata.get("tags", ()))
    ]


def test_it_is_kept_without_outputs():
    nbformat.validate(nbformat.read(FILE, as_version=4))
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells())


def test_own_parts_take_few_lines_and_no_private_name():
    source = "\n".join(cell.source for cell in cells(tag="persona"))
    assert len([line for line in source.splitlines() if line.strip()]) <= MOST_LINES
    assert not re.search(r"\b_\w", "\n".join(cell.source for cell in cells()))
    for step in ("keras.Input", "tf.data", "augmentation", "vac_tf.train", "vac_tf.evaluate"):
        assert step in source
    assert "export_network" in source and "export.scoring.load" in source


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The folder, and the cells with their outputs."""
    folder = tmp_path_factory.mktemp("tutorial")
    notebook = nbformat.read(FILE, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY), prepend=":")
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        resources = {"metadata": {"path": str(folder)}}
        NotebookClient(notebook, timeout=500, kernel_name="python3", resources=resources).execute()
    return folder, [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(executed, start):
    """What the cell that begins so has printed, as lines."""
    (cell,) = [cell for cell in executed[1] if cell.source.startswith(start)]
    texts = [each.text for each in cell.outputs if each.get("name") == "stdout"]
    return "".join(texts).splitlines()


def test_a_run_of_own_parts_is_trained_and_continued(executed):
    folder, _ = executed
    epochs, *printed_values = printed(executed, "print(len(history")
    loss, validation = map(ast.literal_eval, printed_values)
    assert epochs.startswith("8 epochs") and len(loss) == len(validation) == 8
    assert loss[-1] < loss[0] - 0.3 and validation[-1] > validation[0]
    assert (folder / "runs/tutorial/network.keras").exists()
    mean, inconsistency = printed(executed, 'print("mAP"')
    assert 0 < float(mean.split()[-1]) <= 1 and 0 <= float(inconsistency.split()[-1]) < 1


def test_a_result_is_a_picture_in_a_notebook(executed):
    folder, code = executed
    (shown,) = [cell for cell in code if cell.source == "result"]
    assert {"image/png", "text/html"} <= set(shown.outputs[0].data)
    assert (folder / "pictures/most_probable.png").stat().st_size > 1000


def test_the_bundle_scores_as_the_run(executed):
    *_, difference = printed(executed, "print(report)")
    assert float(difference) < 1e-4

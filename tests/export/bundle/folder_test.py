"""The folder of a bundle: what a new one replaces, and what it leaves alone."""

import pytest

from export.bundle.folder import new_bundle, write_bundle_file
from tests.export.onnx_models import description


def make(folder, content):
    with new_bundle(str(folder)) as new:
        with open(f"{new}/model.onnx", "w") as file:
            file.write(content)
        write_bundle_file(new, description(), {}, {})


def test_files_that_are_none_of_the_bundles_are_not_lost(tmp_path):
    bundle = tmp_path / "bundle"
    make(bundle, "first")
    (bundle / "MODEL_CARD.md").write_text("mine")  # Told of in the docs: it is written anew.
    (bundle / ".DS_Store").touch()
    make(bundle, "second")
    (bundle / "scores").mkdir()
    (bundle / "scores/day.csv").write_text("precious")
    with pytest.raises(ValueError, match="1 files that are not of it, such as 'scores/day.csv'"):
        make(bundle, "third")
    assert (bundle / "scores/day.csv").read_text() == "precious"
    assert (bundle / "model.onnx").read_text() == "second"

"""The run that most tests of exporting start from."""

import pytest


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A table dataset of 11 photographs per split; must not be changed."""
    from tests.export.building.tiny_run import write_table

    folder = tmp_path_factory.mktemp("data") / "table"
    write_table(folder)
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory, data_dir):
    """A run of the small backbone on that dataset; must not be changed."""
    import keras

    from tests.export.building.tiny_run import LABELS, spread_predictions, write_run
    from vac_tf.models import build_classifier

    keras.utils.set_random_seed(4)  # Every label is decided for some of the images.
    # Without a fixed size, as training with a scaling transform needs.
    network = spread_predictions(build_classifier("small", len(LABELS)))
    run = write_run(tmp_path_factory.mktemp("runs") / "run", data_dir, network)
    run.write_json("evaluation.json", {"label_based": {"mAP": 0.5}})
    return run


@pytest.fixture(scope="session")
def bundle(tmp_path_factory, run):
    """The folder of that run's bundle; must not be changed."""
    from export.building.config import ExportConfig
    from export.building.exporter import export_run

    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    report = export_run(ExportConfig(run_dir=run.path, bundle_dir=str(folder)))
    assert report.parity["images"] == 11
    assert "; 0 of " in str(report)
    return folder

"""The backbone of the runs that are analysed."""

import pytest


@pytest.fixture(scope="package", autouse=True)
def tiny_backbones():
    from tests.vac_tf.tiny_backbones import add_tiny_backbones

    with pytest.MonkeyPatch.context() as patch:
        add_tiny_backbones(patch)
        yield

"""Whether Keras still needs a train function of ours for several workers."""

import pytest

from tests.vac_tf.training.distributed.worker_processes import results_of, start_workers


@pytest.mark.slow
def test_the_fit_of_keras_still_fails_with_several_workers():
    """When it trains, `TrainFunction` may go: `fit` then does what it is there for."""
    stock = ["-m", "tests.vac_tf.training.distributed.stock_fit"]
    for code, errors in results_of(start_workers(stock, stock)):
        assert code != 0 and "Error" in errors

"""Keras's own `fit` under MultiWorkerMirroredStrategy, as TF_CONFIG says.

TF_CONFIG=... python -m tests.vac_tf.training.distributed.stock_fit
"""

import keras
import numpy as np
import tensorflow as tf


def main():
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse")
    model.fit(np.zeros((8, 3)), np.zeros((8, 1)), batch_size=4, verbose=0)
    print("trained")


if __name__ == "__main__":
    main()

"""What a `.keras` file says to a process that lacks the library."""

from typing import Any

import keras


class SaysWhatToImport(keras.layers.Layer):
    """A layer whose saved description names the import that its loading takes.

    Keras prints the description when it does not find a class; it reads the shapes of
    `build_config` and passes over other keys.
    """

    def get_build_config(self) -> dict[str, Any]:
        return {**(super().get_build_config() or {}), "to_load_this": "import vac_tf.models"}

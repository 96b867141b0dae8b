"""What functions of tensors take and give, for readers and for type checkers."""

from typing import Any, TypeAlias

# Keras and TensorFlow ship no types: a checker sees which arguments a function of tensors has, and
# what is optional; shapes and dtypes are in the docstrings, and tests hold them.
Tensor: TypeAlias = Any

"""Pictures of where a model looks, for any model and without TensorFlow."""

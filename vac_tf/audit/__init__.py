"""Whether a model follows the image: consistency by view, label and image, and what it predicts."""

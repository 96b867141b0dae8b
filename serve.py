"""Serves an exported network over HTTP: images in, probabilities and decided labels out.

    python serve.py --model=bundle/model.onnx
    curl --data-binary @photo.jpg http://127.0.0.1:8000/score
    curl -F images=@one.jpg -F images=@two.jpg 'http://127.0.0.1:8000/score?heatmaps=peaks'

The model file holds labels, thresholds and image size; nothing else is needed. An image gets the
scores that score.py writes for it. /docs is a page on all requests, /healthz and /readyz are for
orchestrators, /metrics is for Prometheus. SIGTERM or Ctrl-C stops the server after it has answered
what it accepted.

Exit codes: 0 stopped as told; 2 the flags are wrong or contradict each other; 3 the model or the
port cannot be used.

Needs the packages of requirements-serve.txt; neither TensorFlow nor this project's library. Starts
in some two seconds.
"""

from absl import flags as absl_flags

from flags import serving
from flags.console import quiet_imports
from flags.program import run_program


def main() -> None:
    config = serving.to_config(absl_flags.FLAGS)
    try:
        with quiet_imports():
            from export.serving.server import serve
    except ImportError as error:
        raise ValueError(
            f"serve.py needs {error.name}. Install it: pip install -r requirements-serve.txt."
        ) from error
    serve(config)


if __name__ == "__main__":
    serving.define(absl_flags.FLAGS)
    run_program(main)

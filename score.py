"""Scores images with an exported network: one row per image, in input order.

    python score.py --model=bundle/model.onnx --images=photos --output=scores.parquet
    python score.py --model=bundle/model.onnx --images=photos --output=- | jq .decisions
    python score.py --only_new --model=bundle/model.onnx --images=photos --output=days/1.parquet
    python score.py --model=bundle/model.onnx --describe
    python score.py ... --shard=1/2 & python score.py ... --shard=2/2
    python score.py --merge --output=scores.parquet
    python score.py --model=bundle/model.onnx --images=photos --benchmark
    python score.py --doctor

The model file holds labels, thresholds and image size; nothing else is needed. An image that
cannot be scored gets a row with its status and error; the last line counts them. The same command
after the job was killed goes on where it stopped.

Exit codes: 0 the job came through (or was finished before); 1 with --strict: it came through, and
an image got no scores (with --doctor: the host is not well); 2 the flags are wrong or contradict
each other; 3 the model, the images or the output cannot be used, the disk is full, or most images
fail; 4 with --max_drift: it came through, and the scores have drifted; 130 Ctrl-C.

Needs onnxruntime, numpy, Pillow, absl-py, and for Parquet pyarrow (requirements-scoring.txt);
neither TensorFlow nor this project's library. Starts in about a second; a small network takes
some 5 ms per image and core after that.
"""

import contextlib
import os
import sys

from absl import flags as absl_flags

from export.scoring.command import run_command
from flags import scoring
from flags.console import quiet_imports
from flags.program import run_program


def main() -> int:
    config = scoring.to_config(absl_flags.FLAGS)
    # Here for what it writes meanwhile. Where it is missing, the job that needs it will say so.
    with quiet_imports(), contextlib.suppress(ImportError, AttributeError):
        import onnxruntime  # noqa: F401
    text, exit_code = run_command(config)
    print(text, file=sys.stderr if config.is_stream else sys.stdout)
    return exit_code


if __name__ == "__main__":
    # Arrow's own allocator keeps what was freed: some 40 MB more in a job of many rows.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    scoring.define(absl_flags.FLAGS)
    run_program(main)

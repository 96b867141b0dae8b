"""A quiet console: a program's own first line comes before its libraries' messages."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

from absl import flags as absl_flags

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# TensorFlow writes these while it is loaded, before it reads its level from the environment.
_UNASKED = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog|I\d{4} |To enable the following"
    rb"|.*\[[IW]:onnxruntime:"
)


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Leaves out the notes that TensorFlow and ONNX Runtime write while they are imported.

    What they write later is left to errors that end the program. Everything comes with
    --verbosity=1, or where the user has set TF_CPP_MIN_LOG_LEVEL. Other lines written inside are
    kept, and follow when the imports are done.
    """
    if _LEVEL in os.environ:
        yield
        return
    wanted = absl_flags.FLAGS.is_parsed() and absl_flags.FLAGS.verbosity > 0
    os.environ[_LEVEL] = "0" if wanted else "3"
    if wanted:
        yield
        return
    sys.stderr.flush()
    console = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(console, 2)
            os.close(console)
            written.seek(0)
            for line in written:
                if not _UNASKED.match(line):
                    os.write(2, line)
    if "onnxruntime" in sys.modules:
        sys.modules["onnxruntime"].set_default_logger_severity(3)

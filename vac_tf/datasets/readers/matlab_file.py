"""MATLAB files, read with errors that name the file."""

import io
import os
from typing import Any

from vac_tf.datasets.readers.matlab_layout import check_matlab_layout
from vac_tf.datasets.split import DatasetError


def read_matlab_file(file: str | os.PathLike) -> dict[str, Any]:
    """The variables of a MATLAB 5 file, as `scipy.io.loadmat` gives them.

    Raises:
        DatasetError: when the file is missing, damaged or of another version.
    """
    # Imported here: scipy.io takes half a second, and most datasets need none of it.
    from scipy.io import loadmat

    try:
        with open(file, "rb") as stream:
            data = stream.read()
        # scipy's reader may crash the process over a damaged file, and reads MATLAB 4 too.
        check_matlab_layout(data)
        return loadmat(io.BytesIO(data))
    except MemoryError:
        raise
    # scipy reports a damaged file by whatever its parser happens to fail on: IndexError,
    # TypeError, zlib.error, NotImplementedError (MATLAB 7.3), its own MatReadError, ...
    except Exception as error:
        raise DatasetError(
            f"{file}: not a readable MATLAB 5 file ({type(error).__name__}: {error}). It may be"
            " cut short; download it again."
        ) from error

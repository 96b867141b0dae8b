"""Tar files with samples of a WebDataset, as its own writer makes them."""

import io
import tarfile


def write_tar(path, members):
    """Writes members, (name, bytes) each, in their order; a name may occur twice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

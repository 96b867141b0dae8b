"""PNG without the chunks that describe the picture and do not make it."""

import struct

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks whose name begins with a small letter may be left out by any reader. Of these the
# transparent colour and the orientation matter here.
_KEPT = (b"tRNS", b"eXIf")


def without_metadata(data: bytes) -> bytes:
    """A PNG without colour profile, texts and the like; behind a chunk that is cut off unchanged.

    Pillow refuses a file whose metadata is large when decompressed (a profile of 1.5 MB, which
    needs 2 kB); libpng, which TensorFlow decodes with, leaves such a chunk out.
    """
    kept, position = [_SIGNATURE], len(_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        name, end = data[position + 4 : position + 8], position + 12 + length
        if name[:1].isupper() or name in _KEPT:
            kept.append(data[position:end])
        position = end
    return b"".join([*kept, data[position:]])

"""A seeded mutator: image files broken in the ways that disks, networks and programs break them."""

import random
from collections.abc import Callable

from tests.export.encoded_images import good_images, huge_images

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"RIFF", b"II*\x00", b"%PDF")


def _cut_off(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _cut_off_in_the_header(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(min(len(data), 64))]


def _without_its_beginning(data: bytes, chance: random.Random) -> bytes:
    return data[chance.randrange(1, len(data)) :]


def _flip_bits(data: bytes, chance: random.Random, count: int, end: int | None = None) -> bytes:
    broken = bytearray(data)
    for _ in range(count):
        broken[chance.randrange(min(len(data), end or len(data)))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def _one_bit(data: bytes, chance: random.Random) -> bytes:
    return _flip_bits(data, chance, 1)


def _many_bits(data: bytes, chance: random.Random) -> bytes:
    return _flip_bits(data, chance, chance.randrange(2, 200))


def _bits_of_the_header(data: bytes, chance: random.Random) -> bytes:
    return _flip_bits(data, chance, chance.randrange(1, 8), end=64)


def _span(data: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(data))
    return start, chance.randrange(start, len(data)) + 1


def _hole_of_zeros(data: bytes, chance: random.Random) -> bytes:
    start, end = _span(data, chance)
    return data[:start] + bytes(end - start) + data[end:]


def _lost_bytes(data: bytes, chance: random.Random) -> bytes:
    start, end = _span(data, chance)
    return data[:start] + data[end:]


def _foreign_bytes(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + chance.randbytes(chance.randrange(1, 400)) + data[start:]


def _largest_number(data: bytes, chance: random.Random) -> bytes:
    """Four bytes of the header become 0xFFFFFFFF: a size or a length without bounds."""
    start = chance.randrange(min(len(data), 64))
    return data[:start] + b"\xff" * 4 + data[start + 4 :]


def _head_of_another_format(data: bytes, chance: random.Random) -> bytes:
    magic = chance.choice([magic for magic in _MAGIC if not data.startswith(magic)])
    return magic + data[len(magic) :]


def _behind_another_image(data: bytes, chance: random.Random) -> bytes:
    other = chance.choice(list(good_images().values()))
    return other[: chance.randrange(1, len(other))] + data


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut_off,
    _cut_off_in_the_header,
    _without_its_beginning,
    _one_bit,
    _many_bits,
    _bits_of_the_header,
    _hole_of_zeros,
    _lost_bytes,
    _foreign_bytes,
    _largest_number,
    _head_of_another_format,
    _behind_another_image,
)


def broken_images(seed: int) -> dict[str, bytes]:
    """Name -> file contents: every kind of image under every mutation, and files of other types.

    Most of them cannot be decoded; some still can, as a flipped bit in a pixel does no harm.
    """
    chance = random.Random(seed)
    broken = {
        f"{kind}.{mutation.__name__.strip('_')}": mutation(data, chance)
        for kind, data in good_images().items()
        for mutation in MUTATIONS
    }
    broken |= {f"{kind}.bomb": data for kind, data in huge_images().items()}
    broken |= {
        "text": b"this is no photograph\n" * 50,
        "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "zip": b"PK\x03\x04" + chance.randbytes(500),
        "tiff": b"II*\x00" + chance.randbytes(500),
        "noise": chance.randbytes(2000),
        "zeros": bytes(2000),
        "one byte": b"\xff",
        "nothing": b"",
    }
    return broken

"""Whether a MATLAB 5 file is laid out as it says, before `scipy.io` reads it.

scipy's reader trusts lengths and counts: a damaged file can make it crash the process. Looked at
are the tags, lengths and dimensions of all elements, not their values. Source: MathWorks, "MAT-File
Format", R2019b, Chapter 1 ("Level 5 MAT-file format").
"""

import math
import struct
import zlib

_HEADER, _VERSION = 128, 0x0100
_MATRIX, _COMPRESSED = 14, 15
_INT8, _INT32, _UINT32 = 1, 5, 6
# Type -> bytes of a number or a unit of text.
_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMBERS = range(6, 16)
_COMPLEX = 0x0800
_DEEPEST = 16
_LONGEST_NAME = 64
_MOST_BYTES = 2**30  # Of one variable.
_MOST_DIMENSIONS = 32  # NumPy of any version has as many.


def check_matlab_layout(data: bytes) -> None:
    """Walks through the elements of a file.

    Raises:
        ValueError: it is of another version, cut short, or its elements do not fit; what MATLAB
            has beyond numbers, text, cells and structs is refused too.
        zlib.error: a compressed variable is damaged.
    """
    marks = {b"IM": "<", b"MI": ">"}
    order = marks.get(data[126:128])
    if len(data) < _HEADER or order is None:
        raise ValueError("it has no header of MATLAB 5")
    (version,) = struct.unpack(f"{order}H", data[124:126])
    if version != _VERSION:
        raise ValueError(f"it is of version {version:#06x}, expected {_VERSION:#06x} (MATLAB 5)")
    walk, place = _Walk(order), _HEADER
    while place < len(data):
        kind, content, place = walk.element(data, place)
        if kind == _COMPRESSED:
            unpacked = zlib.decompressobj().decompress(content, _MOST_BYTES)
            kind, content, end = walk.element(unpacked, 0)
            if end < len(unpacked):
                raise ValueError("a compressed variable holds more than one element")
        if kind != _MATRIX:
            raise ValueError(f"a variable of type {kind}, expected {_MATRIX}")
        walk.matrix(content, 0)


class _Walk:
    def __init__(self, order: str):
        self._order = order

    def element(self, data: bytes, place: int) -> tuple[int, bytes, int]:
        """Type and content of the element at a place, and where the next one begins."""
        if place + 8 > len(data):
            raise ValueError("it ends within an element")
        kind, size = struct.unpack_from(f"{self._order}II", data, place)
        start = place + 8
        end = start + size
        if kind >> 16:  # Up to four bytes, in the tag itself.
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise ValueError(f"a small element of {size} bytes, at most 4")
            start, end = place + 4, place + 8
            return kind, data[start : start + size], end
        if end > len(data):
            raise ValueError(f"an element of {size} bytes, where {len(data) - start} are left")
        padded = end if kind == _COMPRESSED else end + -size % 8
        return kind, data[start:end], min(padded, len(data))

    def numbers(self, data: bytes, place: int, kind: int) -> tuple[tuple[int, ...], int]:
        """The values of an element of a type, and where the next one begins."""
        found, content, place = self.element(data, place)
        width = _BYTES[kind]
        if found != kind or len(content) % width:
            raise ValueError(f"an element of type {found}, expected {kind}")
        letter = {_INT8: "b", _INT32: "i", _UINT32: "I"}[kind]
        return struct.unpack(f"{self._order}{len(content) // width}{letter}", content), place

    def matrix(self, data: bytes, depth: int) -> None:
        """Checks the inside of a matrix; an empty one is a cell without content."""
        if not data:
            return
        if depth > _DEEPEST:
            raise ValueError(f"cells in cells, more than {_DEEPEST} deep")
        flags, place = self.numbers(data, 0, _UINT32)
        dimensions, place = self.numbers(data, place, _INT32)
        name, place = self.numbers(data, place, _INT8)
        few = 2 <= len(dimensions) <= _MOST_DIMENSIONS
        if len(flags) != 2 or not few or min(dimensions) < 0:
            raise ValueError(f"a matrix with the flags {flags} and dimensions {dimensions[:4]}")
        if bool(depth) and len(name) > _LONGEST_NAME:
            raise ValueError(f"a name of {len(name)} characters inside a variable")
        self._content(data, place, flags[0], math.prod(dimensions), depth)

    def _content(self, data: bytes, place: int, flags: int, count: int, depth: int) -> None:
        kind = flags & 0xFF
        if kind in _NUMBERS or kind == _CHAR:
            for _ in range(2 if flags & _COMPLEX else 1):
                place = self._values(data, place, count, kind == _CHAR)
            return
        if kind == _STRUCT:
            (length,), place = self._one(data, place)
            names, place = self.numbers(data, place, _INT8)
            if not 0 < length <= _LONGEST_NAME or len(names) % length:
                raise ValueError(f"names of fields of {length} characters in {len(names)}")
            fields = [names[first : first + length] for first in range(0, len(names), length)]
            if len(set(fields)) != len(fields) or any(not f[0] or f[-1] for f in fields):
                raise ValueError("names of fields that are empty, too long or repeated")
            count *= len(fields)
        elif kind != _CELL:
            raise ValueError(f"an array of class {kind}, expected numbers, text, cells or structs")
        if count > (len(data) - place) // 8:
            raise ValueError(f"{count} cells in {len(data) - place} bytes")
        for _ in range(count):
            inner, content, place = self.element(data, place)
            if inner != _MATRIX:
                raise ValueError(f"a cell of type {inner}, expected {_MATRIX}")
            self.matrix(content, depth + 1)

    def _one(self, data: bytes, place: int) -> tuple[tuple[int, ...], int]:
        values, place = self.numbers(data, place, _INT32)
        if len(values) != 1:
            raise ValueError(f"{len(values)} lengths of names, expected one")
        return values, place

    def _values(self, data: bytes, place: int, count: int, is_text: bool) -> int:
        kind, content, place = self.element(data, place)
        if kind not in _BYTES or len(content) % _BYTES[kind]:
            raise ValueError(f"numbers of type {kind} in {len(content)} bytes")
        found = len(content) // _BYTES[kind]
        # Text of UTF-8 and UTF-16 has fewer characters than units.
        if found != count and not (is_text and found > count):
            raise ValueError(f"{found} numbers for dimensions of {count}")
        return place

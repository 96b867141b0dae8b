"""Tests of vac_tf/datasets/readers/matlab_layout.py: what scipy writes passes, damage does not."""

import io
import struct
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from vac_tf.datasets import DatasetError
from vac_tf.datasets.readers.matlab_file import read_matlab_file
from vac_tf.datasets.readers.matlab_layout import check_matlab_layout

NESTED = np.array([[np.ones((2, 3)), "text"], [np.zeros((0, 2)), np.array([["é"]])]], object)
CONTENT = {
    "numbers": np.arange(6, dtype=np.uint8).reshape(2, 3),
    "complex": np.array([1 + 2j]),
    "empty": np.zeros((0, 0)),
    "text": "ünï",
    "cells": NESTED,
    "struct": {"first": 1.5, "second": NESTED, "third": {"deep": [1, 2]}},
}


def matlab(content, **options):
    stream = io.BytesIO()
    savemat(stream, content, **options)
    return stream.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
def test_what_scipy_writes_is_laid_out_well(compressed, tmp_path):
    data = matlab(CONTENT, do_compression=compressed)
    check_matlab_layout(data)
    (tmp_path / "a.mat").write_bytes(data)
    assert set(CONTENT) <= set(read_matlab_file(tmp_path / "a.mat"))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_cut_short_anywhere_is_refused(compressed):
    data = matlab(CONTENT, do_compression=compressed)
    ends = {0}
    place = 128
    while place < len(data):  # Cut between two variables, it is a whole file.
        kind, size = struct.unpack("<II", data[place : place + 8])
        ends.add(place)
        place += 8 + size
    for end in range(0, len(data) - 8, 7):
        if end in ends and end:
            continue
        with pytest.raises((ValueError, zlib.error)):
            check_matlab_layout(data[:end])


def test_old_and_new_versions_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no header of MATLAB 5"):
        check_matlab_layout(matlab({"a": np.ones((2, 2))}, format="4"))
    newer = bytearray(matlab({"a": 1}))
    newer[125] = 2
    with pytest.raises(ValueError, match="version 0x0200"):
        check_matlab_layout(bytes(newer))
    (tmp_path / "a.mat").write_bytes(bytes(newer))
    with pytest.raises(DatasetError, match="a.mat: not a readable MATLAB 5 file.*version"):
        read_matlab_file(tmp_path / "a.mat")


def test_cells_that_cannot_be_there_are_refused():
    data = matlab({"a": np.array([[1], [2]], object)})
    place = data.index(struct.pack("<IIii", 5, 8, 2, 1)) + 8
    many = data[:place] + struct.pack("<ii", 2**30, 2**30) + data[place + 8 :]
    with pytest.raises(ValueError, match="cells in"):
        check_matlab_layout(many)
    negative = data[:place] + struct.pack("<ii", -2, 1) + data[place + 8 :]
    with pytest.raises(ValueError, match="dimensions"):
        check_matlab_layout(negative)


def test_sparse_arrays_are_refused():
    from scipy.sparse import csc_array

    with pytest.raises(ValueError, match="class 5, expected numbers, text, cells or structs"):
        check_matlab_layout(matlab({"a": csc_array(np.eye(3))}))

"""Suspected labels and duplicates of a page."""

import dataclasses

import numpy as np

from tests.vac_tf.report.evaluated_runs import evaluated_run
from vac_tf.report.page import write_report
from vac_tf.report.suspects import duplicate_images, suspect_labels


def test_a_flipped_label_is_suspected_first(tmp_path):
    labels = np.zeros((12, 3), np.float32)
    labels[::2, 0] = labels[::3, 1] = labels[1::2, 2] = 1
    evaluated = evaluated_run(tmp_path, ("a", "b", "c"), labels=labels)
    logits = np.where(labels == 1, 3.0, -3.0).astype(np.float32)
    logits[5, 1] = 9.0
    assert labels[5, 1] == 0
    evaluated = dataclasses.replace(evaluated, logits=logits)
    assert suspect_labels(evaluated) == [(5, 1)]
    unknown = labels.copy()
    unknown[5, 1] = np.nan
    assert suspect_labels(dataclasses.replace(evaluated, labels=unknown)) == []


def test_pairs_with_other_labels_are_shown_first(tmp_path):
    labels = np.array([[1, 0], [1, 0], [0, 1], [1, 1]], np.float32)
    evaluated = evaluated_run(tmp_path, ("a", "b"), labels=labels)
    assert duplicate_images(evaluated) == (0, [])
    hashes = np.array([5, 5, 3 << 40, 3 << 40], np.uint64)
    evaluated = dataclasses.replace(evaluated, hashes=hashes)
    assert duplicate_images(evaluated) == (2, [(2, 3), (0, 1)])
    page = open(write_report(evaluated), encoding="utf-8").read()
    assert page.count("labels differ</span>") == 1 and page.count("same labels") == 1

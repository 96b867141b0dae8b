"""TensorBoard's event files: what of them a run that goes on from an earlier step keeps."""

import glob
import os
from collections.abc import Callable

import tensorflow as tf
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader


def cut_back(folder: str, last_step: Callable[[str], int]) -> set[tuple[str, int]]:
    """Takes out of the event files of a folder what lies beyond the point that a run goes on from.

    Each step then stands in the files once, for whatever reads them; TensorBoard itself would hide
    one of two points only where the later one comes later.

    Args:
        folder: of the files; it may be missing.
        last_step: the last step of a tag that stays.

    Returns:
        The tags and steps that stay.
    """
    kept = set()
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "*tfevents*"))):
        records, is_cut = [], False
        # Which leaves out a last event that a kill cut off, and changes none.
        for event in LegacyEventFileLoader(path).Load():
            values = [value for value in event.summary.value if event.step <= last_step(value.tag)]
            if len(values) < len(event.summary.value):
                is_cut = True
                if not values:
                    continue
                del event.summary.value[:]
                event.summary.value.extend(values)
            kept.update((value.tag, event.step) for value in values)
            records.append(event)
        if is_cut:
            _rewrite(path, records)
    return kept


def _rewrite(path, events):
    if not any(event.HasField("summary") for event in events):
        os.remove(path)
        return
    # Not in its folder: TensorBoard reads every file there that is called like one of events.
    partial = os.path.join(os.path.dirname(os.path.dirname(path)), "rewritten.partial")
    with tf.io.TFRecordWriter(partial) as writer:
        for event in events:
            writer.write(event.SerializeToString())
    os.replace(partial, path)

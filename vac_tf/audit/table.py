"""The Parquet file of an audit: a row per image and label."""

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from vac_tf.audit.measurement import Measurement

_ROWS = 1_000_000  # At once.


def write_table(path: str, measured: Measurement, truth: np.ndarray | None) -> None:
    """Writes `image`, `label`, `probability`, `threshold`, `decided`, `truth` (null: unknown),
    `variance` of the heatmap, and of each view `KIND_difference`, `KIND_probability` and
    `KIND_decided`; images in order, of each image all labels in order.

    Args:
        path: The file.
        measured: N images, L labels.
        truth: float32 `[N, L]` of 0, 1 and NaN, or None.
    """
    step = max(_ROWS // len(measured.label_names), 1)
    writer = None
    for first in range(0, len(measured.names), step):
        table = _rows(measured, truth, slice(first, first + step))
        writer = writer or parquet.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    writer.close()


def _rows(measured: Measurement, truth, rows: slice) -> pa.Table:
    names = [name.encode("utf-8", "backslashreplace").decode() for name in measured.names[rows]]
    count, labels = len(names), len(measured.label_names)
    decided = measured.decided[rows]
    columns = {
        "image": _taken(names, np.repeat(np.arange(count), labels)),
        "label": _taken(measured.label_names, np.tile(np.arange(labels), count)),
        "probability": measured.probabilities[rows].ravel(),
        "threshold": np.tile(measured.thresholds, count),
        "decided": decided.ravel(),
    }
    if truth is not None:
        values = truth[rows].ravel()
        columns["truth"] = pa.array(values == 1, mask=np.isnan(values))
    columns["variance"] = measured.variances[rows].ravel()
    for kind in measured.differences:
        columns[f"{kind}_difference"] = measured.differences[kind][rows].ravel()
        columns[f"{kind}_probability"] = measured.view_probabilities[kind][rows].ravel()
        columns[f"{kind}_decided"] = measured.decided_in(kind)[rows].ravel()
    return pa.table(columns)


def _taken(names, places: np.ndarray) -> pa.Array:
    return pa.array(list(names), pa.string()).take(pa.array(places))

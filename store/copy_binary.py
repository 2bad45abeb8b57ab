"""PostgreSQL's binary COPY format, built by NumPy.

Source: PostgreSQL 18 manual, COPY, "Binary Format". A row is a 16-bit field count, then for each
field its 32-bit length and its value, all big-endian. Rows of fixed size are one structured dtype:
filled column by column and written as they lie in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
#: timestamptz counts us from 2000-01-01.
EPOCH_US = 946_684_800_000_000
FLOAT4_OID = 700


@lru_cache(maxsize=1024)
def row_dtype(columns: tuple[tuple[str, str], ...], real_cells: int = 0) -> np.dtype[np.void]:
    """Layout of a row; with `real_cells` a last column `cells` is a real[] of that length."""
    fields: list[tuple[str, str] | tuple[str, object]] = [("fields", ">i2")]
    for name, kind in columns:
        fields += [(f"{name}_length", ">i4"), (name, kind)]
    if real_cells:
        cell = np.dtype([("length", ">i4"), ("value", ">f4")])
        head = [(n, ">i4") for n in ("cells_length", "ndim", "nulls", "oid", "dim", "lower")]
        fields += [*head, ("cells", cell, (real_cells,))]  # type: ignore[list-item]
    return np.dtype(fields)


@lru_cache(maxsize=1024)
def _template(columns: tuple[tuple[str, str], ...], real_cells: int) -> NDArray[np.uint8]:
    """The bytes of one row that never change: counts and lengths."""
    row = np.zeros(1, row_dtype(columns, real_cells))
    row["fields"] = len(columns) + (1 if real_cells else 0)
    for name, kind in columns:
        row[f"{name}_length"] = np.dtype(kind).itemsize
    if real_cells:
        row["cells_length"] = 20 + 8 * real_cells
        row["ndim"], row["oid"], row["dim"], row["lower"] = 1, FLOAT4_OID, real_cells, 1
        row["cells"]["length"] = 4
    return row.view(np.uint8)


def rows(
    columns: tuple[tuple[str, str], ...],
    values: Mapping[str, NDArray[np.generic]] | Sequence[tuple[str, NDArray[np.generic]]],
    cells: NDArray[np.float32] | None = None,
) -> memoryview:
    """The bytes of many rows, without header and trailer. `cells` has one row of cells for each."""
    given = dict(values)
    n = len(next(iter(given.values())))
    width = 0 if cells is None else cells.shape[1]
    template = _template(columns, width)
    buffer = np.empty((n, len(template)), np.uint8)
    buffer[:] = template
    table = buffer.reshape(-1).view(row_dtype(columns, width))
    for name, _ in columns:
        table[name] = given[name]
    if cells is not None:
        table["cells"]["value"] = cells
    return buffer.reshape(-1).data


def timestamps(observed_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """timestamptz values, floored to us."""
    us: NDArray[np.int64] = observed_ns // 1000 - EPOCH_US
    return us

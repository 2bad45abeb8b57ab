"""NumPy columns as PostgreSQL array parameters, without a Python object for each value.

Source: PostgreSQL 18, `array_recv` in src/backend/utils/adt/arrayfuncs.c: ndim, flags, element
OID, then for each dimension its length and lower bound, then for each element its 32-bit length
and value, all big-endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

HEAD = struct.Struct(">iiIii")
#: Element OID by kind: int4, int8, float8.
OIDS = {">i4": 23, ">i8": 20, ">f8": 701}


@dataclass(frozen=True, slots=True)
class Array:
    """A ready-made array value; the query casts it (`%b::int[]`)."""

    content: bytes


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> bytes:
        return obj.content


def array(values: NDArray[np.generic], kind: str) -> Array:
    """`kind` is the big-endian dtype of the elements, one of OIDS."""
    head = HEAD.pack(1, 0, OIDS[kind], len(values), 1)
    cells = np.empty(len(values), [("length", ">i4"), ("value", kind)])
    cells["length"] = np.dtype(kind).itemsize
    cells["value"] = values
    return Array(head + cells.tobytes())


def register(conn: psycopg.Connection[tuple[object, ...]]) -> None:
    """Let a connection send them."""
    conn.adapters.register_dumper(Array, _ArrayDumper)

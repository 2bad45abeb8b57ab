"""How Vector's BLF lays out a file, its containers and the objects that hold CAN frames.

Source: Vector, binlog_objects.h, as documented by Vector_BLF (Toby Lorenz) and python-can. All
little-endian. A file is a header and containers; the inflated contents of the containers, joined,
are one run of objects that may cross from one container into the next.

    object            LOBJ, header size, header version, object size, type; then (versions 1, 2)
                      flags (1 = times in 10 us, else ns), ..., time since the file's start
    types             1 CAN_MESSAGE, 86 CAN_MESSAGE2, 100 CAN_FD_MESSAGE, 101 CAN_FD_MESSAGE_64,
                      2 CAN_ERROR, 73 CAN_ERROR_EXT, 104 CAN_FD_ERROR_64, 10 LOG_CONTAINER
    padding           object size % 4 bytes after an object (so Vector's own library writes it)
    channel           counts from 1
    start of file     SYSTEMTIME in the logger's local time, whole ms
"""

from __future__ import annotations

import struct
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

FILE_SIGNATURE, OBJECT_SIGNATURE = b"LOGG", b"LOBJ"
#: signature, size, 8 version bytes, file size, inflated size, objects, objects read,
#: start and end as SYSTEMTIME.
FILE_HEADER = struct.Struct("<4sL8BQQLL8H8H")
FILE_HEADER_BYTES = 144
#: signature, header size, header version, object size, type.
OBJECT_HEADER = struct.Struct("<4sHHLL")
#: compression method, inflated size.
CONTAINER = struct.Struct("<H6xL4x")
STORED, DEFLATED = 0, 2
TEN_US, ONE_NS = 1, 2
MAX_CHANNEL = 256


class ObjectType(IntEnum):
    """Types we read; all others are passed over by their size."""

    CAN_MESSAGE = 1
    CAN_ERROR = 2
    LOG_CONTAINER = 10
    CAN_ERROR_EXT = 73
    CAN_MESSAGE2 = 86
    CAN_FD_MESSAGE = 100
    CAN_FD_MESSAGE_64 = 101
    CAN_FD_ERROR_64 = 104


TX, REMOTE = 0x01, 0x80  # flags of CAN_MESSAGE and CAN_FD_MESSAGE
EDL, BRS, ESI = 0x1, 0x2, 0x4  # fd_flags of CAN_FD_MESSAGE
REMOTE64, EDL64, BRS64, ESI64 = 0x0010, 0x1000, 0x2000, 0x4000  # flags of CAN_FD_MESSAGE_64

#: Start of every object inside a container, header versions 1 and 2 alike.
HEAD = np.dtype(
    {
        "names": ["signature", "header_size", "version", "size", "type", "flags", "time"],
        "formats": ["<u4", "<u2", "<u2", "<u4", "<u4", "<u4", "<u8"],
        "offsets": [0, 4, 6, 8, 12, 16, 24],
        "itemsize": 32,
    }
)
#: Bytes before the body, by header version.
HEAD_BYTES = {1: 32, 2: 40}
SIGNATURE_NUMBER = np.uint32(int.from_bytes(OBJECT_SIGNATURE, "little"))
_CLASSIC = np.dtype(
    [("channel", "<u2"), ("flags", "u1"), ("dlc", "u1"), ("id", "<u4"), ("payload", "u1", 8)]
)
#: What follows an object's header, by type.
BODY = {
    ObjectType.CAN_MESSAGE: _CLASSIC,
    ObjectType.CAN_MESSAGE2: _CLASSIC,
    ObjectType.CAN_FD_MESSAGE: np.dtype(
        {
            "names": ["channel", "flags", "dlc", "id", "fd_flags", "valid", "payload"],
            "formats": ["<u2", "u1", "u1", "<u4", "u1", "u1", ("u1", 64)],
            "offsets": [0, 2, 3, 4, 13, 14, 20],
            "itemsize": 84,
        }
    ),
    #: The payload follows, `valid` bytes of it, at most up to `extra_at` or the object's end.
    ObjectType.CAN_FD_MESSAGE_64: np.dtype(
        {
            "names": ["channel", "dlc", "valid", "id", "flags", "direction", "extra_at"],
            "formats": ["u1", "u1", "u1", "<u4", "<u4", "u1", "u1"],
            "offsets": [0, 1, 2, 4, 12, 34, 35],
            "itemsize": 40,
        }
    ),
    ObjectType.CAN_ERROR: np.dtype([("channel", "<u2"), ("length", "<u2"), ("reserved", "<u4")]),
    ObjectType.CAN_ERROR_EXT: np.dtype(
        {
            "names": ["channel", "dlc", "id", "payload"],
            "formats": ["<u2", "u1", "<u4", ("u1", 8)],
            "offsets": [0, 10, 16, 24],
            "itemsize": 32,
        }
    ),
    ObjectType.CAN_FD_ERROR_64: np.dtype(
        {
            "names": ["channel", "dlc", "id"],
            "formats": ["u1", "u1", "<u4"],
            "offsets": [0, 1, 12],
            "itemsize": 44,
        }
    ),
}


def records(buffer: bytes, at: NDArray[np.int64], dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Records of `dtype` that start at the given bytes; all must lie inside `buffer`."""
    if len(at) > 1:
        stride = int(at[1] - at[0])
        if (np.diff(at) == stride).all():
            return np.ndarray(len(at), dtype, buffer, int(at[0]), (stride,))
    # Opaque items are copied eight times as fast as records.
    item = np.dtype(f"V{dtype.itemsize}")
    whole = np.ndarray(max(0, len(buffer) - dtype.itemsize + 1), item, buffer, 0, (1,))
    return whole[at].view(dtype)

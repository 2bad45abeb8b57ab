"""candump text: bytes to columns.

Source: can-utils, candump.c (-l, -L and screen forms) and lib.c; docs/gateway-protocol.md.

    (1622547830.084000) can0 18F02300#0000F0FFFF00FFFF     classic, 8 digits = 29-bit id
    (1622547830.084000) can0 7DF#0201                      classic, 3 digits = 11-bit id
    (1622547830.084000) can0 123##1DEADBEEF                CAN FD, one flag digit: 1 = BRS, 2 = ESI
    (1622547830.084000) can0 123#R8                        remote frame, optional length
    (1622547830.084000) can0 123#DEAD T                    optional direction: R or T
    (1622547830.084000)  can0  123   [2]  DE AD            screen form

Lines of one shape are read together as a matrix of characters; the rest one at a time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ingest.columns import STANDARD_ID_MAX, BusNumbers, Columns, Faults, RowBuffer, in_order
from model.clock import NS
from model.errors import DecodeError
from model.frames import ERROR_FRAME, EXTENDED_ID, ID_MASK, REMOTE_FRAME, FrameFlag

#: Shapes with fewer lines than this are cheaper to read line by line.
MIN_SHAPE_LINES = 16
#: Longest line looked at: time, name and 64 bytes fit in 200.
MAX_LINE = 512
NL, CR, SPACE, HASH = b"\n\r #"

_NIBBLE = np.full(256, 255, np.uint8)
_NIBBLE[list(b"0123456789abcdef")] = range(16)
_NIBBLE[list(b"ABCDEF")] = range(10, 16)

_ID = rb"[0-9A-Fa-f]{3}|[0-9A-Fa-f]{8}"
_SHAPE = re.compile(
    rb"\((?P<s>\d{1,10})(?P<dot>\.)(?P<us>\d{1,9})\) (?P<name>\S{1,32}) (?P<id>" + _ID + rb")"
    rb"#(?P<fd>#[0-9A-Fa-f])?(?P<hex>(?:[0-9A-Fa-f]{2})*)(?P<dir_part> (?P<dir>[RT]))?"
)
_LINE = re.compile(
    rb"\s*\((?P<s>\d{1,10})\.(?P<us>\d{1,9})\)\s+(?P<name>\S{1,32})\s+"
    rb"(?:(?P<id>" + _ID + rb")#(?P<body>\S*)(?:\s+(?P<dir>[RT]))?"
    rb"|(?P<screen_id>" + _ID + rb")\s+\[(?P<count>\d{1,2})\](?P<bytes>(?:\s+[0-9A-Fa-f]{2})*))\s*"
)
_FD_MARKER = re.compile(rb"#[0-9A-Fa-f]")
_REMOTE = re.compile(rb"R([0-8]?)")


def parse(
    text: bytes,
    *,
    first_line: int = 1,
    faults: Faults | None = None,
    buses: BusNumbers | None = None,
) -> tuple[Columns, Faults]:
    """Frames of whole lines in line order, and the broken lines. Blank lines are nothing.

    `first_line` numbers the first line of `text`; `buses` keeps names steady over calls.
    """
    faults = Faults() if faults is None else faults
    buses = BusNumbers() if buses is None else buses
    start, end = line_bounds(np.frombuffer(text, np.uint8))
    blocks, loose = [], [np.zeros(0, np.intp)]
    shapes, rest = _shapes(text, start, end)
    loose.append(rest)
    for rows, hash_at in shapes:
        block, odd = _read_shape(text, rows, start, end, hash_at)
        loose.append(odd)
        if block is not None:
            blocks.append(block)
    odd_lines = _match_lines(text, start, end, np.sort(np.concatenate(loose)))
    _number_buses(blocks, odd_lines, buses)
    rows, columns = _read_odd(odd_lines, first_line, faults, buses)
    places = [*(b.rows for b in blocks), rows]
    return in_order([*(b.columns for b in blocks), columns], places, len(start)), faults


def line_bounds(buffer: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Start and end of each line, without its line ending."""
    end = np.flatnonzero(buffer == NL)
    if len(buffer) and buffer[-1] != NL:
        end = np.append(end, len(buffer))
    start = np.zeros_like(end)
    start[1:] = end[:-1] + 1
    if CR in buffer[np.maximum(end - 1, 0)]:
        end = end - ((buffer[np.maximum(end - 1, 0)] == CR) & (end > start))
    return start, end


def _shapes(
    text: bytes, start: NDArray[np.intp], end: NDArray[np.intp]
) -> tuple[list[tuple[NDArray[np.intp], int]], NDArray[np.intp]]:
    """Rows by (offset of the first #, length, sent) with that offset; and rows of rare shapes."""
    buffer = np.frombuffer(text, np.uint8)
    hashes = np.append(np.flatnonzero(buffer == HASH), len(text))
    hash_at = hashes[np.searchsorted(hashes, start)] - start
    length = end - start
    plausible = (hash_at < length) & (length <= MAX_LINE)
    sent = buffer[np.maximum(end - 1, 0)] == ord("T")
    key = np.where(plausible, (hash_at * (MAX_LINE + 1) + length) * 2 + sent, 0).astype(np.int32)
    order = np.argsort(key, kind="stable")
    cuts = np.flatnonzero(np.diff(key[order], prepend=-1))
    groups = np.split(order, cuts[1:]) if len(order) else []
    common = [g for g in groups if len(g) >= MIN_SHAPE_LINES and key[g[0]]]
    rare = [g for g in groups if len(g) < MIN_SHAPE_LINES or not key[g[0]]]
    none = np.zeros(0, np.intp)
    return [(g, int(hash_at[g[0]])) for g in common], np.concatenate([none, *rare])


@dataclass(slots=True, eq=False)
class _Block:
    """Lines of one shape, read. `names` are interface names, one a row."""

    rows: NDArray[np.intp]
    columns: Columns
    names: NDArray[np.bytes_]


def _read_shape(
    text: bytes,
    rows: NDArray[np.intp],
    start: NDArray[np.intp],
    end: NDArray[np.intp],
    hash_at: int,
) -> tuple[_Block | None, NDArray[np.intp]]:
    """Read rows whose characters stand where the first row has them; and the rows that differ."""
    first = text[start[rows[0]] : end[rows[0]]]
    shape = _SHAPE.fullmatch(first)
    if shape is None or len(shape["hex"]) // 2 > (64 if shape["fd"] else 8):
        return None, rows
    buffer = np.frombuffer(text, np.uint8)
    chars = sliding_window_view(buffer, len(first))[start[rows]]
    fixed = [0, shape.start("dot"), *range(shape.end("us"), shape.start("name"))]
    fixed += [*range(shape.end("name"), shape.start("id")), *range(hash_at, shape.start("hex"))]
    fixed += range(shape.end("hex"), len(first))
    seconds = chars[:, slice(*shape.span("s"))] - np.uint8(48)
    fraction = chars[:, slice(*shape.span("us"))] - np.uint8(48)
    name = np.ascontiguousarray(chars[:, slice(*shape.span("name"))])
    nibbles = _NIBBLE[chars[:, slice(*shape.span("hex"))]]
    can_id, id_good = _identifiers(_NIBBLE[chars[:, slice(*shape.span("id"))]])
    good = id_good & _rows_where(
        chars[:, fixed] == np.frombuffer(first, np.uint8)[fixed],
        seconds <= 9,
        fraction <= 9,
        name > SPACE,
        nibbles < 16,
    )
    flags = _fd_flags(shape["fd"]) | (FrameFlag.TX if shape["dir"] == b"T" else 0)
    size = len(shape["hex"]) // 2
    payload = np.zeros((len(rows), 64 if flags & FrameFlag.FD else 8), np.uint8)
    payload[:, :size] = nibbles[:, ::2] << 4 | nibbles[:, 1::2]
    columns = Columns(
        _number(seconds) * NS + _number(fraction) * 10 ** (9 - fraction.shape[1]),
        can_id,
        np.zeros(len(rows), np.uint8),
        np.full(len(rows), flags, np.uint8),
        np.full(len(rows), size, np.uint8),
        payload,
    )
    names = name.view(f"S{name.shape[1]}").ravel()
    if good.all():
        return _Block(rows, columns, names), rows[:0]
    return _Block(rows[good], columns.rows_at(np.flatnonzero(good)), names[good]), rows[~good]


def _rows_where(*masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows true in every column of every mask; asks row by row only where something is false."""
    good = np.ones(len(masks[0]), np.bool_)
    for mask in masks:
        if not mask.all():
            good &= mask.all(axis=1)
    return good


def _number(digits: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Decimal digits to integers; at most ten digits, so exact in a float64."""
    powers = 10.0 ** np.arange(digits.shape[1] - 1, -1, -1)
    return (digits.astype(np.float64) @ powers).astype(np.int64)


def _identifiers(nibbles: NDArray[np.uint8]) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Identifiers with their kind bits, and whether each is one."""
    good = _rows_where(nibbles < 16)
    powers = 16.0 ** np.arange(nibbles.shape[1] - 1, -1, -1)
    value = (nibbles.astype(np.float64) @ powers).astype(np.int64)
    if nibbles.shape[1] == 3:
        return value.astype(np.uint32), good & (value <= STANDARD_ID_MAX)
    error = value & int(ERROR_FRAME) != 0
    kind = np.where(error, 0, int(EXTENDED_ID))
    return (value | kind).astype(np.uint32), good & (value <= int(ERROR_FRAME | ID_MASK))


def _fd_flags(marker: bytes | None) -> int:
    """FrameFlag bits of `#1` (the part after the first #); 0 for a classic frame."""
    if not marker:
        return 0
    digit = int(marker[1:], 16)
    brs = FrameFlag.BRS if digit & 1 else 0
    esi = FrameFlag.ESI if digit & 2 else 0
    return int(FrameFlag.FD | brs | esi)


def _match_lines(
    text: bytes, start: NDArray[np.intp], end: NDArray[np.intp], rows: NDArray[np.intp]
) -> list[tuple[int, re.Match[bytes] | None]]:
    """Row and match of each line that is not blank."""
    found: list[tuple[int, re.Match[bytes] | None]] = []
    for row in rows.tolist():
        line = text[start[row] : end[row]]
        if line.strip():
            found.append((row, _LINE.fullmatch(line) if len(line) <= MAX_LINE else None))
    return found


def _number_buses(
    blocks: list[_Block], odd: list[tuple[int, re.Match[bytes] | None]], buses: BusNumbers
) -> None:
    """Give names their numbers in the order they first appear, and fill the bus columns."""
    seen = [(row, match["name"]) for row, match in odd if match]
    unique: list[tuple[NDArray[np.bytes_], NDArray[np.intp] | None]] = []
    for block in blocks:
        if (block.names == block.names[:1]).all():
            unique.append((block.names[:1], None))
            seen += [(int(r), n) for r, n in zip(block.rows[:1], block.names[:1], strict=True)]
        else:
            names, first, which = np.unique(block.names, return_index=True, return_inverse=True)
            unique.append((names, which))
            seen += [(int(block.rows[f]), bytes(n)) for f, n in zip(first, names, strict=True)]
    for _, name in sorted(seen):
        buses.number(name.decode("utf-8", "replace"))
    for block, (names, index) in zip(blocks, unique, strict=True):
        numbers = [buses.number(bytes(n).decode("utf-8", "replace")) for n in names]
        if numbers:
            column = np.array(numbers, np.uint8)
            block.columns.bus[:] = column[0] if index is None else column[index]


def _read_odd(
    odd: list[tuple[int, re.Match[bytes] | None]],
    first_line: int,
    faults: Faults,
    buses: BusNumbers,
) -> tuple[NDArray[np.intp], Columns]:
    buffer, rows = RowBuffer(), []
    for row, match in odd:
        try:
            if match is None:
                raise DecodeError("not a candump line")
            _read_line(match, buffer, buses)
            rows.append(row)
        except DecodeError as error:
            faults.add(first_line + row, str(error))
    return np.array(rows, np.intp), buffer.columns()


def _read_line(match: re.Match[bytes], buffer: RowBuffer, buses: BusNumbers) -> None:
    fraction = match["us"]
    observed_ns = int(match["s"]) * NS + int(fraction) * 10 ** (9 - len(fraction))
    bus = buses.number(match["name"].decode("utf-8", "replace"))
    can_id = identifier(match["id"] or match["screen_id"])
    flags = int(FrameFlag.TX) if match["dir"] == b"T" else 0
    if match["id"] is None:
        payload = _unhex(match["bytes"].replace(b" ", b""))
        if len(payload) != int(match["count"]):
            raise DecodeError(f"{int(match['count'])} bytes promised, {len(payload)} found")
        flags |= FrameFlag.FD if len(match["count"]) == 2 else 0
        buffer.add(observed_ns, can_id, payload, bus=bus, flags=flags)
        return
    body = match["body"]
    if remote := _REMOTE.fullmatch(body):
        length = int(remote[1] or 0)
        can_id |= int(REMOTE_FRAME)
        buffer.add(observed_ns, can_id, b"", bus=bus, flags=flags, length=length)
        return
    if body[:1] == b"#":
        if not _FD_MARKER.fullmatch(body[:2]):
            raise DecodeError("a CAN FD frame needs one flag digit after ##")
        flags |= _fd_flags(body[:2])
        body = body[2:]
    payload = _unhex(body.replace(b".", b""))
    buffer.add(observed_ns, can_id, payload, bus=bus, flags=flags)


def identifier(text: bytes) -> int:
    """3 hex digits are an 11-bit id; 8 are a 29-bit id, or an error frame where bit 29 is set."""
    value = int(text, 16)
    if len(text) == 3:
        return value
    if value > int(ERROR_FRAME | ID_MASK):
        raise DecodeError(f"id {value:#x} exceeds 29 bits")
    return value if value & int(ERROR_FRAME) else value | int(EXTENDED_ID)


def _unhex(text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise DecodeError("payload is not pairs of hex digits") from None

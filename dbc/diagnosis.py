"""What a profile says about diagnosis: `[dids]` and `[links]`.

Source: ISO 14229-1, ReadDataByIdentifier (service 22); ISO 15765-2 addressing; editions:
docs/sources.md. Numbers are big-endian and values not separated, as the standard has them.

    [dids.F190]                     # data identifier, four hexadecimal digits
    name = "VIN"
    bytes = 17                      # size of the value; left out = all that follows
    text = true                     # shown as characters

    [dids.0101]
    name = "battery state"
    bytes = 40
    fields = [
      {signal = "state_of_charge_percent", at = 4, factor = 0.5, unit = "%"},
      {signal = "pack_current_a", at = 10, bytes = 2, signed = true, factor = 0.1, unit = "A"},
      {signal = "cell_voltage_v[1..24]", at = 12, factor = 0.02, unit = "V"},   # one after another
      {name = "Contactor", at = 9, bit = 2, bits = 1},      # no catalogue name: DID_0101.Contactor
    ]

    [links]                         # identifiers beside the usual ones, as candump writes them
    battery = {request = "7E4", answer = "7EC"}
    body = {request = "6F1", answer = "640", addressed = true}    # byte 0 is an address

A field is `bytes` long (1), begins at byte `at` of the value (0), and is the number in it, or
`bits` bits of it from `bit` up, times `factor` plus `offset`, in `unit`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from dbc.numbered import expand_name
from model.catalogue import find_signal

MAX_BYTES = 4095  # ISO 15765-2 on classic CAN
_DID = re.compile(r"[0-9A-Fa-f]{4}")
_IDENTIFIER = re.compile(r"[0-9A-Fa-f]{3}|[0-9A-Fa-f]{8}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_EXTENDED_ID = 0x8000_0000
_DID_KEYS = {"name", "bytes", "text", "fields"}
_FIELD_KEYS = {"signal", "name", "at", "bytes", "bit", "bits", "signed", "factor", "offset", "unit"}
_LINK_KEYS = {"request", "answer", "addressed"}
#: (key, what is wrong with it)
Fault = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DidField:
    """One number of a value: `bits` bits from `bit` up of the `size` bytes at `at`."""

    name: str
    at: int
    size: int
    bit: int
    bits: int
    signed: bool
    factor: float
    offset: float
    unit: str
    #: Whether `name` is the catalogue's.
    bound: bool


@dataclass(frozen=True, slots=True)
class Did:
    """One data identifier; `size` None = not known, `text` = shown as characters."""

    name: str
    size: int | None
    text: bool
    fields: tuple[DidField, ...]


@dataclass(frozen=True, slots=True)
class DiagnosticLink:
    """A pair of identifiers (bit 31 set = 29-bit); `addressed`: byte 0 is an address."""

    request_id: int
    answer_id: int
    addressed: bool = False


def did_message(did: int) -> str:
    """The name that stands for a DID where a DBC file has a message's."""
    return f"DID_{did:04X}"


def read_dids(table: object) -> tuple[dict[int, Did], list[Fault]]:
    """The DIDs of `[dids]`, and every fault."""
    found: dict[int, Did] = {}
    faults: list[Fault] = []
    for key, row in _rows(table, "dids", faults):
        where = f"dids.{key}"
        if not _DID.fullmatch(key):
            faults.append((where, "must be four hexadecimal digits"))
        elif not isinstance(row, dict) or row.keys() - _DID_KEYS:
            faults.append((where, f"may hold {', '.join(sorted(_DID_KEYS))} only"))
        else:
            found[int(key, 16)] = _did(where, row, faults)
    return found, faults


def _did(where: str, row: Mapping[str, object], faults: list[Fault]) -> Did:
    size = row.get("bytes")
    if size is not None and not _whole(size, 1, MAX_BYTES):
        faults.append((f"{where}.bytes", f"must be a whole number from 1 to {MAX_BYTES}"))
        size = None
    name, text, fields = row.get("name", ""), row.get("text", False), row.get("fields", [])
    if not isinstance(name, str) or not isinstance(text, bool):
        faults.append((where, "name is a text, text is true or false"))
    listed = fields if isinstance(fields, list) else []
    if not isinstance(fields, list):
        faults.append((f"{where}.fields", "must be a list"))
    limit = size if isinstance(size, int) else MAX_BYTES
    parts = [f for i, r in enumerate(listed) for f in _fields(f"{where}.fields[{i}]", r, faults)]
    names = [part.name for part in parts]
    for part in parts:
        if part.at + part.size > limit:
            faults.append((where, f"{part.name} ends at byte {part.at + part.size} of {limit}"))
        if names.count(part.name) > 1:
            faults.append((where, f"{part.name} stands here more than once"))
    return Did(str(name), size if isinstance(size, int) else None, text is True, tuple(parts))


def _fields(where: str, row: object, faults: list[Fault]) -> Iterator[DidField]:
    """The field of a row, or one for each element of its array."""
    before = len(faults)
    if not isinstance(row, dict) or row.keys() - _FIELD_KEYS:
        faults.append((where, f"may hold {', '.join(sorted(_FIELD_KEYS))} only"))
        return
    at, size, bit = row.get("at", 0), row.get("bytes", 1), row.get("bit", 0)
    bits = row.get("bits", 8 * size - bit if _whole(size, 1, 8) and _whole(bit, 0, 63) else 0)
    signed, unit = row.get("signed", False), row.get("unit", "")
    factor, offset = row.get("factor", 1), row.get("offset", 0)
    if not _whole(at, 0, MAX_BYTES - 1) or not _whole(size, 1, 8):
        faults.append((where, "at is a byte from 0, bytes are 1 to 8"))
    elif not _whole(bit, 0, 63) or not _whole(bits, 1, 64) or bit + bits > 8 * size:
        faults.append((where, f"bit and bits are not within {8 * size} bits"))
    if not _real(factor) or not _real(offset) or factor == 0:
        faults.append((where, "factor and offset are numbers, factor not 0"))
    if not isinstance(signed, bool) or not isinstance(unit, str):
        faults.append((where, "signed is true or false, unit is a text"))
    names = _names(where, row, faults)
    if len(faults) > before:
        return
    for i, name in enumerate(names):
        yield DidField(
            name=name,
            at=at + i * size,
            size=size,
            bit=bit,
            bits=bits,
            signed=signed,
            factor=float(factor),
            offset=float(offset),
            unit=unit,
            bound="signal" in row,
        )


def _names(where: str, row: Mapping[str, object], faults: list[Fault]) -> list[str]:
    signal, own = row.get("signal"), row.get("name")
    if isinstance(own, str) and "signal" not in row and _NAME.fullmatch(own):
        return [own]
    if not isinstance(signal, str) or "name" in row:
        faults.append((where, "needs signal (a catalogue name), or a name of its own"))
        return []
    try:
        names = expand_name(signal)
    except ValueError as error:
        faults.append((where, str(error)))
        return []
    faults += [(where, f"{name}: not in the catalogue") for name in names if not find_signal(name)]
    return names


def read_links(table: object) -> tuple[dict[str, DiagnosticLink], list[Fault]]:
    """The links of `[links]` by name, and every fault."""
    found: dict[str, DiagnosticLink] = {}
    faults: list[Fault] = []
    taken: dict[int, str] = {}
    for key, row in _rows(table, "links", faults):
        where = f"links.{key}"
        if not isinstance(row, dict) or row.keys() - _LINK_KEYS:
            faults.append((where, f"may hold {', '.join(sorted(_LINK_KEYS))} only"))
            continue
        request, answer = _identifier(row.get("request")), _identifier(row.get("answer"))
        addressed = row.get("addressed", False)
        if request is None or answer is None or not isinstance(addressed, bool):
            faults.append((where, "needs request and answer, 3 or 8 hexadecimal digits each"))
            continue
        for number, side in ((request, "request"), (answer, "answer")):
            if number in taken:
                faults.append((where, f"{row[side]} is {taken[number]}'s already"))
            taken[number] = key
        found[key] = DiagnosticLink(request, answer, addressed)
    return found, faults


def _identifier(text: object) -> int | None:
    """SocketCAN's number of an identifier written as candump does."""
    if not isinstance(text, str) or not _IDENTIFIER.fullmatch(text):
        return None
    number = int(text, 16)
    if len(text) == 3:
        return number if number <= 0x7FF else None
    return number | _EXTENDED_ID if number <= 0x1FFF_FFFF else None


def _rows(table: object, name: str, faults: list[Fault]) -> Iterator[tuple[str, object]]:
    if isinstance(table, dict):
        yield from table.items()
    else:
        faults.append((name, "must be a table"))


def _whole(value: object, least: int, most: int) -> TypeGuard[int]:
    return type(value) is int and least <= value <= most


def _real(value: object) -> TypeGuard[float]:
    return type(value) in (int, float) and isinstance(value, int | float) and math.isfinite(value)

"""A decode plan: everything a kernel needs about a profile's DBC files, as flat arrays.

Frames are matched to messages by identifier (`Identifiers`). Signals are kept in groups: group i
is what message i always sends (i < number of messages), the others are what a multiplexer value
adds. A selector of a group leads to more groups. Where bits are and what they mean is a row of
`Fields` (bits) and `Signals` (meaning); both kernels read nothing else.

A 64-byte payload is seen as words: word 2k is bytes 8k..8k+7 little-endian, word 2k+1 the same
bytes big-endian. A field that crosses a word boundary takes `carry` bits from the word after.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from dataclasses import dataclass, fields
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dbc.profile import Profile
from model.signals import SignalTable

#: Written into every cached plan; raised whenever the arrays change their meaning.
PLAN_VERSION = 4


class Kind(IntEnum):
    """How raw bits become a number."""

    INTEGER = 0  # fits int64
    UNSIGNED64 = 1
    FLOAT16 = 2
    FLOAT32 = 3
    FLOAT64 = 4
    EXACT = 5  # integer scale whose product may pass 2^53: computed with big integers


FLOAT_KINDS = (Kind.FLOAT16, Kind.FLOAT32, Kind.FLOAT64)


@dataclass(frozen=True, slots=True, eq=False)
class Identifiers:
    """Which message a frame is.

    11-bit identifiers index a table. 29-bit ones are tried per level: `id & level_mask[k]` is
    looked up in `key[level_start[k]:level_start[k + 1]]` (sorted); the first level that has it
    decides. `*_ignored` are the identifier bits the match does not look at; they become the
    run's source (J1939: the source address). 0 = exact match, source -1.
    """

    standard: NDArray[np.int32]  # [2049], -1 = unknown; the last always is
    standard_ignored: NDArray[np.uint32]  # [2049]
    level_mask: NDArray[np.uint32]
    level_start: NDArray[np.int32]
    key: NDArray[np.uint32]
    message: NDArray[np.int32]
    ignored: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """Where bits are. raw = (word >> shift) & mask, then sign-extended from `sign`."""

    word: NDArray[np.int64]
    shift: NDArray[np.uint64]
    mask: NDArray[np.uint64]
    sign: NDArray[np.uint64]  # the sign bit, 0 where unsigned
    carry: NDArray[np.int8]  # > 0 little-endian, < 0 big-endian, 0 inside one word
    need: NDArray[np.int32]  # payload bytes that must be there


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Signals and selectors of each group; selector value intervals and where they lead."""

    signal_start: NDArray[np.int32]  # [groups + 1]
    selector_start: NDArray[np.int32]  # [groups + 1]
    need: NDArray[np.int32]  # bytes for all its signals
    promised: NDArray[np.int32]  # the same without signals past the end of the message
    low: NDArray[np.uint64]  # selector << 48 | first raw value, sorted
    high: NDArray[np.uint64]  # selector << 48 | last raw value
    target_start: NDArray[np.int32]  # [intervals + 1]
    target: NDArray[np.int32]  # groups


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """What bits mean.

    value = raw * scale + offset, in that order and with both roundings. A raw value outside
    `lowest .. lowest + span` (modulo 2^64) is not GOOD; from `absent_from` on it is INVALID, from
    `error_from` on ABNORMAL (J1939; 0 = no such patterns), else OUT_OF_RANGE.
    """

    name: NDArray[np.uint16]  # index into the table
    kind: NDArray[np.uint8]
    bits: NDArray[np.uint8]
    scale: NDArray[np.float64]
    offset: NDArray[np.float64]
    unit_factor: NDArray[np.float64]
    unit_offset: NDArray[np.float64]
    lowest: NDArray[np.uint64]
    span: NDArray[np.uint64]
    error_from: NDArray[np.uint64]
    absent_from: NDArray[np.uint64]
    minimum: NDArray[np.float64]  # of float signals, in the DBC's unit
    maximum: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Containers:
    """Which messages other messages carry (AUTOSAR), by header identifier. Sorted."""

    message: NDArray[np.int32]
    header: NDArray[np.uint32]
    contained: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class DataIdentifiers:
    """Which message the value of a DID (ISO 14229) is. Sorted; no frame has such an identifier."""

    number: NDArray[np.int32]
    message: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The compiled form of a profile."""

    hash: str
    j1939: bool
    table: SignalTable
    messages: tuple[str, ...]
    #: "Message.Signal: why" of signals that no kernel can decode.
    skipped: tuple[str, ...]
    #: Messages whose byte 0 is an ISO 15765-2 single-frame length.
    iso_tp: NDArray[np.bool_]
    #: Payload bytes of each message; 0 = any.
    length: NDArray[np.int32]
    #: The same, or the CAN FD length that holds it.
    padded: NDArray[np.int32]
    #: Messages whose signals are all states of the catalogue, stored when they change.
    on_change: NDArray[np.bool_]
    ids: Identifiers
    containers: Containers
    dids: DataIdentifiers
    groups: Groups
    selector_bits: Fields
    signal_bits: Fields
    #: Where j1939 is true, the last four are DM1's lamps, which no frame holds as such.
    signals: Signals


_PER_MESSAGE = ("iso_tp", "length", "padded", "on_change")
_SECTIONS: dict[str, type] = {
    "ids": Identifiers,
    "containers": Containers,
    "dids": DataIdentifiers,
    "groups": Groups,
    "selector_bits": Fields,
    "signal_bits": Fields,
    "signals": Signals,
}


def compile_plan(profile: Profile) -> Plan:
    """Parse the profile's DBC files and lay them out.

    Raises `ProfileError` listing every fault: unreadable files, two messages with one identifier,
    bound signals that are not there, units we cannot convert.
    """
    from decoders.plan_compiler import compile_profile  # cantools stays out of workers

    return compile_profile(profile)


def cached_plan(profile: Profile, cache_dir: Path) -> Plan:
    """The plan from `cache_dir`, compiled and stored there when it is missing or broken."""
    path = Path(cache_dir) / f"plan-{PLAN_VERSION}-{profile.hash}.npz"
    try:
        return read_plan(path.read_bytes())
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        plan = compile_plan(profile)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    scratch.write_bytes(plan_bytes(plan))
    scratch.replace(path)
    return plan


def plan_bytes(plan: Plan) -> bytes:
    """The plan as an NPZ file; no pickle inside."""
    arrays = {column: getattr(plan, column) for column in _PER_MESSAGE}
    for section, kind in _SECTIONS.items():
        columns = getattr(plan, section)
        arrays |= {f"{section}.{f.name}": getattr(columns, f.name) for f in fields(kind)}
    head = {
        "version": PLAN_VERSION,
        "hash": plan.hash,
        "j1939": plan.j1939,
        "profile": plan.table.profile,
        "names": plan.table.names,
        "units": plan.table.units,
        "messages": plan.messages,
        "skipped": plan.skipped,
    }
    arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
    target = io.BytesIO()
    np.savez(target, allow_pickle=False, **arrays)
    return target.getvalue()


def read_plan(content: bytes) -> Plan:
    """Inverse of `plan_bytes`. Raises EOFError, ValueError, KeyError or BadZipFile otherwise."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        head = json.loads(arrays["head"].tobytes())
        if head["version"] != PLAN_VERSION:
            raise ValueError(f"plan version {head['version']}, not {PLAN_VERSION}")
        sections = {
            section: kind(**{f.name: arrays[f"{section}.{f.name}"] for f in fields(kind)})
            for section, kind in _SECTIONS.items()
        }
        return Plan(
            hash=head["hash"],
            j1939=head["j1939"],
            table=SignalTable(head["profile"], tuple(head["names"]), tuple(head["units"])),
            messages=tuple(head["messages"]),
            skipped=tuple(head["skipped"]),
            **{column: arrays[column] for column in _PER_MESSAGE},
            **sections,
        )

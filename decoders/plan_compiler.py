"""Lays out a profile's DBC files as a `Plan`. Control plane only: this is where cantools is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from dbc.loader import load_messages
from dbc.profile import Binding, MessageOptions, Profile, ProfileError
from dbc.units import conversion
from decoders.j1939_dm1 import LAMPS
from decoders.plan import Containers, DataIdentifiers, Fields, Groups, Plan, Signals
from decoders.plan_dids import message_of
from decoders.plan_identifiers import IdentifierTable
from decoders.signal_meaning import (
    FLOATS,
    FieldRow,
    MeaningRow,
    field_row,
    j1939_patterns,
    meaning_row,
)
from model.catalogue import CatalogueSignal, catalogue, find_signal
from model.signals import SignalTable

if TYPE_CHECKING:
    from cantools.database.can import Message
    from cantools.database.can.signal import Signal

MAX_SELECTOR_BITS = 32
#: Payload bytes of a CAN FD frame, and the lengths it can have above 8.
MAX_FRAME, FD_LENGTHS = 64, (12, 16, 20, 24, 32, 48, 64)
#: Vector's container for signals without a message.
_NO_MESSAGE = "VECTOR__INDEPENDENT_SIG_MSG"


def compile_profile(profile: Profile) -> Plan:
    """The plan of a profile. Raises `ProfileError` with every fault."""
    compiler = _Compiler(profile)
    for number, file in enumerate(profile.files):
        try:
            messages = [m for m in load_messages(file.path) if m.name != _NO_MESSAGE]
        except ProfileError as error:
            compiler.faults += error.faults
            continue
        compiler.ids.open_file(str(file.path), number)
        for message in messages:
            compiler.add(message, j1939=file.j1939 or message.protocol == "j1939")
    for did, row in sorted(profile.dids.items()):
        if row.fields:
            compiler.add_did(did, message_of(did, row))
    return compiler.finish()


class _Group:
    """One group while it is being filled."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.signals: list[tuple[FieldRow, MeaningRow]] = []
        self.selectors: list[tuple[FieldRow, list[tuple[int, int, list[_Group]]]]] = []

    @property
    def needs(self) -> list[int]:
        return [field.need for field, _ in self.signals]

    def walk(self) -> Iterator[_Group]:
        """All groups below this one."""
        for _, intervals in self.selectors:
            seen: list[_Group] = []
            for _, _, targets in intervals:
                for group in targets:
                    if group not in seen:
                        seen.append(group)
                        yield group
                        yield from group.walk()


class _Compiler:
    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.faults: list[str] = []
        self.skipped: list[str] = []
        self.ids = IdentifierTable()
        self.roots: list[_Group] = []
        self.messages: list[str] = []
        self.iso_tp: list[bool] = []
        self.lengths: list[int] = []
        self.on_change: list[bool] = []
        self.contained: list[tuple[int, int, int]] = []
        self.dids: list[tuple[int, int]] = []
        self.names: dict[str, int] = {}
        self.units: list[str] = []
        self.seen_signals: set[str] = set()
        self.seen_messages: set[str] = set()

    def add(self, message: Message, *, j1939: bool) -> None:
        options = self.profile.messages.get(message.name, MessageOptions())
        self.seen_messages.add(message.name)
        self.seen_signals |= {f"{message.name}.{s.name}" for s in message.signals}
        index = len(self.roots)
        if not self.ids.claim(
            message.name,
            message.frame_id,
            index,
            extended=message.is_extended_frame,
            j1939=j1939,
            match=options.match,
        ):
            return
        self._root(message, options, j1939=j1939)
        for contained in message.contained_messages or ():
            self.contained.append((index, contained.header_id or 0, len(self.roots)))
            self.seen_messages.add(contained.name)
            self.seen_signals |= {f"{contained.name}.{s.name}" for s in contained.signals}
            self._root(contained, MessageOptions(), j1939=False)

    def add_did(self, did: int, message: Message) -> None:
        """A message that no frame is; it comes in answers of service 22."""
        self.dids.append((did, len(self.roots)))
        self.seen_messages.add(message.name)
        self.seen_signals |= {f"{message.name}.{s.name}" for s in message.signals}
        self._root(message, MessageOptions(), j1939=False)

    def _root(self, message: Message, options: MessageOptions, *, j1939: bool) -> None:
        any_length = options.iso_tp or message.is_container or message.length > MAX_FRAME
        self.messages.append(message.name)
        self.iso_tp.append(options.iso_tp)
        self.lengths.append(0 if any_length else message.length)
        self.on_change.append(self._on_change(message))
        self.roots.append(self._group(message, None, None, j1939=j1939))

    def _group(
        self, message: Message, parent: str | None, ids: frozenset[int] | None, *, j1939: bool
    ) -> _Group:
        """Signals that `parent` with one of `ids` brings, and what their selectors bring."""
        group = _Group(message.length)
        for signal in message.signals:
            wanted = frozenset(signal.multiplexer_ids or ()) if parent else None
            if signal.multiplexer_signal != parent or wanted != ids:
                continue
            if not _decodable(signal):
                self.skipped.append(f"{message.name}.{signal.name}: {signal.length} bits")
                continue
            field = field_row(signal)
            group.signals.append((field, self._meaning(message, signal, j1939=j1939)))
            if signal.is_multiplexer:
                self._selector(group, message, signal, field, j1939=j1939)
        return group

    def _selector(
        self, group: _Group, message: Message, signal: Signal, field: FieldRow, *, j1939: bool
    ) -> None:
        id_sets: list[frozenset[int]] = []
        for s in message.signals:
            ids = frozenset(s.multiplexer_ids or ())
            if s.multiplexer_signal == signal.name and ids not in id_sets:
                id_sets.append(ids)
        if not id_sets:
            return
        if signal.length > MAX_SELECTOR_BITS or signal.conversion.is_float:
            self.skipped.append(f"{message.name}.{signal.name}: cannot select by it")
            return
        # A named value without signals is a branch too (cantools reads it so).
        if signal.choices:
            id_sets.append(frozenset(signal.choices) - frozenset().union(*id_sets))
        branches = [(ids, self._group(message, signal.name, ids, j1939=j1939)) for ids in id_sets]
        group.selectors.append((field, _intervals(branches, signal.length)))

    def _meaning(self, message: Message, signal: Signal, *, j1939: bool) -> MeaningRow:
        key = f"{message.name}.{signal.name}"
        binding = self.profile.bindings.get(key)
        if binding is None:
            return meaning_row(signal, self._name(key, signal.unit or ""), j1939=j1939)
        row = find_signal(binding.name)
        assert row is not None, "profiles bind names of the catalogue only"
        return meaning_row(
            signal,
            self._name(binding.name, row.unit),
            j1939=j1939,
            unit=self._unit(key, binding, signal.unit or "", row),
            bounds=(row.minimum, row.maximum),
        )

    def _on_change(self, message: Message) -> bool:
        bound = [self.profile.bindings.get(f"{message.name}.{s.name}") for s in message.signals]
        rows = [find_signal(b.name) if b else None for b in bound]
        return bool(rows) and all(row and row.on_change for row in rows)

    def _unit(
        self, key: str, binding: Binding, unit: str, row: CatalogueSignal
    ) -> tuple[float, float]:
        if binding.factor is not None:
            return binding.factor, binding.offset
        pair = conversion(unit, row.unit)
        if pair is None:
            self._fault(
                f"signals.{key!r}",
                f"no conversion from {unit!r} to {row.unit!r} of {row.name}; "
                "give {name, factor, offset}",
            )
        return pair or (1.0, 0.0)

    def _lamps(self) -> list[tuple[FieldRow, MeaningRow]]:
        """The lamps of DM1, which `j1939_dm1` reads; the last signals, in no group."""
        rows = []
        for lamp in LAMPS:
            name = self._name(lamp, catalogue()[lamp].unit)
            error, absent = j1939_patterns(2)
            meaning = MeaningRow(name=name, bits=2, span=1, error_from=error, absent_from=absent)
            rows.append((FieldRow(mask=3), meaning))
        return rows

    def _name(self, name: str, unit: str) -> int:
        if name not in self.names:
            self.names[name] = len(self.units)
            self.units.append(unit)
        return self.names[name]

    def _fault(self, key: str, text: str) -> None:
        self.faults.append(f"{self.profile.origin or self.profile.name}: {key}: {text}")

    def finish(self) -> Plan:
        for key in sorted(self.profile.bindings.keys() - self.seen_signals):
            self._fault(f"signals.{key!r}", "no such signal in the DBC files")
        for key in sorted(self.profile.messages.keys() - self.seen_messages):
            self._fault(f"messages.{key}", "no such message in the DBC files")
        self.faults += self.ids.faults
        lamps = self._lamps() if self.profile.j1939 else []
        if len(self.units) > 0xFFFF:
            self._fault("signals", f"{len(self.units)} names, 65535 are possible")
        if self.faults:
            raise ProfileError(self.faults)
        groups = [*self.roots, *(g for root in self.roots for g in root.walk())]
        signals = [row for group in groups for row in group.signals] + lamps
        return Plan(
            hash=self.profile.hash,
            j1939=self.profile.j1939,
            table=SignalTable(self.profile.name, tuple(self.names), tuple(self.units)),
            messages=tuple(self.messages),
            skipped=tuple(self.skipped),
            iso_tp=np.array(self.iso_tp, np.bool_),
            length=np.array(self.lengths, np.int32),
            padded=np.array([_padded(length) for length in self.lengths], np.int32),
            on_change=np.array(self.on_change, np.bool_),
            ids=self.ids.table(),
            containers=_containers(self.contained),
            dids=DataIdentifiers(
                np.array([did for did, _ in self.dids], np.int32),
                np.array([message for _, message in self.dids], np.int32),
            ),
            groups=_groups(groups),
            selector_bits=_fields([f for g in groups for f, _ in g.selectors]),
            signal_bits=_fields([f for f, _ in signals]),
            signals=_signals([m for _, m in signals]),
        )


def _decodable(signal: Signal) -> bool:
    return signal.length in FLOATS if signal.conversion.is_float else 1 <= signal.length <= 64


def _intervals(
    branches: list[tuple[frozenset[int], _Group]], bits: int
) -> list[tuple[int, int, list[_Group]]]:
    """Disjoint ranges of raw selector values with the groups each of them brings."""
    whole = (1 << bits) - 1
    per_value: dict[int, list[_Group]] = {}
    for ids, group in branches:
        for value in ids:
            if -(whole >> 1) - 1 <= value <= whole:
                targets = per_value.setdefault(value & whole, [])
                if group.signals:
                    targets.append(group)
    intervals: list[tuple[int, int, list[_Group]]] = []
    for value in sorted(per_value):
        if intervals and intervals[-1][1] == value - 1 and intervals[-1][2] == per_value[value]:
            intervals[-1] = (intervals[-1][0], value, per_value[value])
        else:
            intervals.append((value, value, per_value[value]))
    return intervals


def _padded(length: int) -> int:
    """The length of the CAN FD frame that carries so many bytes."""
    return length if length <= 8 else next(n for n in FD_LENGTHS if n >= length)


def _starts(counts: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def _groups(groups: list[_Group]) -> Groups:
    position = {id(group): i for i, group in enumerate(groups)}
    selectors = [intervals for group in groups for _, intervals in group.selectors]
    flat = [
        (number << 48 | low, number << 48 | high, [position[id(g)] for g in targets])
        for number, intervals in enumerate(selectors)
        for low, high, targets in intervals
    ]
    return Groups(
        signal_start=_starts([len(g.signals) for g in groups]),
        selector_start=_starts([len(g.selectors) for g in groups]),
        need=np.array([max(g.needs, default=0) for g in groups], np.int32),
        promised=np.array(
            [max((n for n in g.needs if n <= g.length), default=0) for g in groups], np.int32
        ),
        low=np.array([low for low, _, _ in flat], np.uint64),
        high=np.array([high for _, high, _ in flat], np.uint64),
        target_start=_starts([len(targets) for _, _, targets in flat]),
        target=np.array([t for _, _, targets in flat for t in targets], np.int32),
    )


def _containers(rows: list[tuple[int, int, int]]) -> Containers:
    rows = sorted(rows)
    return Containers(
        message=np.array([r[0] for r in rows], np.int32),
        header=np.array([r[1] for r in rows], np.uint32),
        contained=np.array([r[2] for r in rows], np.int32),
    )


def _fields(rows: list[FieldRow]) -> Fields:
    return Fields(
        word=np.array([r.word for r in rows], np.int64),
        shift=np.array([r.shift for r in rows], np.uint64),
        mask=np.array([r.mask for r in rows], np.uint64),
        sign=np.array([r.sign for r in rows], np.uint64),
        carry=np.array([r.carry for r in rows], np.int8),
        need=np.array([r.need for r in rows], np.int32),
    )


def _signals(rows: list[MeaningRow]) -> Signals:
    return Signals(
        name=np.array([r.name for r in rows], np.uint16),
        kind=np.array([r.kind for r in rows], np.uint8),
        bits=np.array([r.bits for r in rows], np.uint8),
        scale=np.array([r.scale for r in rows], np.float64),
        offset=np.array([r.offset for r in rows], np.float64),
        unit_factor=np.array([r.unit[0] for r in rows], np.float64),
        unit_offset=np.array([r.unit[1] for r in rows], np.float64),
        lowest=np.array([r.lowest for r in rows], np.uint64),
        span=np.array([r.span for r in rows], np.uint64),
        error_from=np.array([r.error_from for r in rows], np.uint64),
        absent_from=np.array([r.absent_from for r in rows], np.uint64),
        minimum=np.array([r.minimum for r in rows], np.float64),
        maximum=np.array([r.maximum for r in rows], np.float64),
    )

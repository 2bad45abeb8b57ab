"""Master records are compared with what is stored, and only what differs is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from model.master_files import Row, RowFault, row_of
from model.masters import VehicleRecord
from model.record import Record
from model.vehicle import Vehicle
from store import audit
from store.database import Connection
from store.master_kinds import KINDS, Kind
from store.upserts import existing

#: The noun of audit lines about master records; their ids begin with the kind.
MASTER = "master"


class Outcome(StrEnum):
    """What became of a record."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Change:
    """One record: what is other than before, as (field, old, new) in JSON terms."""

    line: int
    key: tuple[str, ...]
    outcome: Outcome
    fields: tuple[tuple[str, object, object], ...] = ()


#: What the application knows to be wrong with a vehicle, as (field, reason).
VehicleFault = Callable[[Vehicle], tuple[str, str] | None]


def nothing_wrong(_vehicle: Vehicle) -> tuple[str, str] | None:
    """Every vehicle is fine."""
    return None


@dataclass(slots=True)
class Importer:
    """Takes rows of one kind into one open transaction; whoever opened it decides its end.

    A field that a row leaves out stays as it is where the record exists; with `replace` it takes
    its default.
    """

    conn: Connection
    kind: Kind
    now: datetime
    vehicle_fault: VehicleFault = nothing_wrong
    replace: bool = False
    _lines: dict[tuple[str, ...], int] = field(default_factory=dict)

    def take(self, rows: Sequence[Row[Record]]) -> tuple[list[Change], list[RowFault]]:
        """Write the good rows of one bunch; what changed, and what is wrong with the others."""
        records = [row.record for row in rows if row.record is not None]
        old = {self.kind.key_of(r): r for r in self.kind.read(self.conn, self.kind, records)}
        whole = [row if self.replace else self._completed(row, old) for row in rows]
        faults = [f for row in whole for f in (*row.faults, *self._repeats(row))]
        faults += [f for row in whole for f in self._refused(row)]
        faults += self._dangling(whole, {f.line for f in faults})
        lost = {f.line for f in faults}
        good = [(r.line, r.record) for r in whole if r.record is not None and r.line not in lost]
        return self._write(good, old), sorted(faults, key=lambda f: f.line)

    def _completed(self, row: Row[Record], known: Mapping[tuple[str, ...], Record]) -> Row[Record]:
        """The row with what it leaves out as it is."""
        old = known.get(self.kind.key_of(row.record)) if row.record is not None else None
        if row.record is None or old is None:
            return row
        given = row.record.model_dump(exclude_unset=True)
        dropped = {*self.kind.told_anew}
        if not given.keys().isdisjoint(self.kind.exclusive):
            dropped |= {*self.kind.exclusive}
        kept = old.model_dump(exclude=dropped)
        return row_of(row.line, {**kept, **given}, self.kind.model)

    def _repeats(self, row: Row[Record]) -> list[RowFault]:
        if row.record is None:
            return []
        first = self._lines.setdefault(self.kind.key_of(row.record), row.line)
        if first == row.line:
            return []
        return [RowFault(row.line, self.kind.keys[0], f"the same record is in line {first}")]

    def _refused(self, row: Row[Record]) -> list[RowFault]:
        if not isinstance(row.record, VehicleRecord):
            return []
        wrong = self.vehicle_fault(row.record)
        return [RowFault(row.line, *wrong)] if wrong else []

    def _dangling(self, rows: Sequence[Row[Record]], lost: set[int]) -> list[RowFault]:
        """References to what is not there. A record of the same kind may come in the same bunch."""
        good = [(r.line, r.record) for r in rows if r.record is not None and r.line not in lost]
        ours = {self.kind.key_of(r)[0] for _, r in good}
        faults = []
        for name, (table, key) in self.kind.references.items():
            wanted = {(line, value) for line, r in good for value in _values(r, name)}
            known = existing(self.conn, table, key, sorted({value for _, value in wanted}))
            known |= ours if table == self.kind.table else set()
            faults += [
                RowFault(line, name, f"no such {table.replace('_', ' ')}: {value}")
                for line, value in wanted
                if value not in known
            ]
        return faults

    def _write(
        self, good: Sequence[tuple[int, Record]], old: Mapping[tuple[str, ...], Record]
    ) -> list[Change]:
        changes, fresh = [], []
        for line, record in good:
            key = self.kind.key_of(record)
            settled = self.kind.settle(old.get(key), record, self.now)
            change = _compare(line, key, old.get(key), settled)
            changes.append(change)
            if change.outcome is not Outcome.UNCHANGED:
                fresh.append(settled)
        if fresh:
            self.kind.write(self.conn, self.kind, fresh)
        return changes


def put(
    conn: Connection,
    kind: str,
    record: Record,
    now: datetime,
    vehicle_fault: VehicleFault,
    *,
    actor: str,
) -> tuple[Change | None, list[RowFault]]:
    """One record in place of the one that is there; the change, or what is wrong.

    A change leaves an audit line with the names of its fields, never their values: they may be
    personal, and the trail is never deleted.
    """
    importer = Importer(conn, KINDS[kind], now, vehicle_fault, replace=True)
    changes, faults = importer.take([Row(1, record)])
    for change in changes:
        if change.outcome is not Outcome.UNCHANGED:
            names = [name for name, _, _ in change.fields]
            noun_id = "/".join((kind, *change.key))
            audit.append(
                conn, MASTER, noun_id, change.outcome, actor=actor, detail={"fields": names}
            )
    return (changes[0] if changes else None), faults


def record_import(
    conn: Connection,
    kind: str,
    outcomes: Mapping[Outcome, int],
    *,
    faults: int,
    sha256: str,
    actor: str,
    file: str = "",
) -> None:
    """The audit line of an import that is stored; call it in the import's transaction."""
    counts = {str(outcome): outcomes.get(outcome, 0) for outcome in Outcome}
    detail = {**counts, "faults": faults, "sha256": sha256} | ({"file": file} if file else {})
    audit.append(conn, MASTER, kind, "import", actor=actor, detail=detail)


def _values(record: Record, name: str) -> list[str]:
    value = getattr(record, name)
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    return [str(value)] if value else []


def _compare(line: int, key: tuple[str, ...], old: Record | None, new: Record) -> Change:
    if old is None:
        return Change(line, key, Outcome.CREATED)
    before, after = _plain(old), _plain(new)
    names = [n for n in after if getattr(old, n) != getattr(new, n)]
    fields = tuple((n, before[n], after[n]) for n in names)
    return Change(line, key, Outcome.CHANGED if fields else Outcome.UNCHANGED, fields)


def _plain(record: Record) -> dict[str, object]:
    """In JSON terms, sets in order."""
    dumped = record.model_dump(mode="json")
    sets = {n for n in dumped if isinstance(getattr(record, n), frozenset)}
    return {n: sorted(v) if n in sets else v for n, v in dumped.items()}

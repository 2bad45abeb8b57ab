"""Signal names and their numbers in the bulk tables.

A catalogue signal has one number whatever profile it comes from; any other is kept apart as
`profile:Message.Signal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from model.catalogue import find_signal
from model.signals import SignalTable
from store.database import Connection

INSERT = (
    "insert into signal (name, unit) select * from unnest(%s::text[], %s::text[]) order by 1"
    " on conflict (name) do nothing"
)


def stored_name(profile: str, name: str) -> str:
    """The name in table `signal`."""
    return name if find_signal(name) else f"{profile}:{name}"


def profile_name(profile: str, stored: str) -> str:
    """The name as the profile's table has it."""
    return stored.removeprefix(f"{profile}:")


class SignalNumbers:
    """Numbers by name: asked once, then from memory.

    A number is remembered only when its row was committed before this transaction: one that is
    rolled back would otherwise live on in memory.
    """

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._inserted_in: dict[str, object] = {}
        self._columns: dict[SignalTable, NDArray[np.int32]] = {}

    def column(self, conn: Connection, table: SignalTable) -> NDArray[np.int32]:
        """signal_id of every name of a table, in the table's order; new names are inserted."""
        known = self._columns.get(table)
        if known is not None:
            return known
        names = [stored_name(table.profile, n) for n in table.names]
        numbers = self.of(conn, dict(zip(names, table.units, strict=True)))
        column = np.array([numbers[n] for n in names], np.int32)
        if all(n in self._known for n in names):
            self._columns[table] = column
        return column

    def of(self, conn: Connection, units: Mapping[str, str]) -> dict[str, int]:
        """signal_id by stored name, for names with their units."""
        found = {n: self._known[n] for n in units if n in self._known}
        unknown = [n for n in units if n not in found]
        if unknown:
            found |= self._ask(conn, {n: units[n] for n in unknown})
        return found

    def _ask(self, conn: Connection, units: Mapping[str, str]) -> dict[str, int]:
        ours = _transaction(conn)
        found = _select(conn, list(units))
        committed = {n for n in found if ours is None or self._inserted_in.get(n) != ours}
        self._known.update({n: found[n] for n in committed})
        missing = [n for n in units if n not in found]
        if missing:
            conn.execute(INSERT, [missing, [units[n] for n in missing]])
            found |= _select(conn, missing)
            self._inserted_in.update(dict.fromkeys(missing, _transaction(conn)))
        return found


_by_connection: WeakKeyDictionary[Connection, SignalNumbers] = WeakKeyDictionary()


def numbers_of(conn: Connection) -> SignalNumbers:
    """The memory of a connection: it lives as long, and knows one database."""
    return _by_connection.setdefault(conn, SignalNumbers())


def stored_names(conn: Connection) -> dict[int, str]:
    """Every stored name by its number."""
    rows = conn.execute("select signal_id, name from signal")
    return {int(str(number)): str(name) for number, name in rows}


def _transaction(conn: Connection) -> object:
    row = conn.execute("select pg_current_xact_id_if_assigned()::text").fetchone()
    return row[0] if row else None


def _select(conn: Connection, names: list[str]) -> dict[str, int]:
    rows = conn.execute("select name, signal_id from signal where name = any(%s)", [names])
    return {str(name): int(str(number)) for name, number in rows}

"""Rows of what people work on: one row a record, changed by comparing versions.

Rows travel as JSON: PostgreSQL turns them into its types, so one class serves every table. A
record's `vin` stands for the column vehicle_id.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Generic, LiteralString, TypeVar

from psycopg import sql
from psycopg.types.json import Jsonb

from model.errors import RoadcallError
from model.record import Record
from store.database import Connection, UnknownRowError

R = TypeVar("R", bound=Record)
#: Rivals pass a locked row over instead of waiting for it.
SKIP: LiteralString = " limit 1 for update of t skip locked"


class RowChangedError(RoadcallError):
    """Somebody else changed the row since it was read; read it again."""

    def __init__(self, noun: str, key: uuid.UUID, version: int) -> None:
        super().__init__(f"{noun} {key} is no longer at version {version}")


class WorkRows(Generic[R]):
    """The table of one kind of record, whose key is a uuid and which counts its versions."""

    def __init__(
        self, record: type[R], table: LiteralString, key: LiteralString, noun: str
    ) -> None:
        self._record, self.table, self._key, self._noun = record, table, key, noun
        names = ["vehicle_id" if n == "vin" else n for n in record.model_fields]
        self._columns = sql.SQL(", ").join(map(sql.Identifier, names))

    def insert(self, conn: Connection, row: R) -> bool:
        """Write a new row; False when it, or an open one of the same identity, is there already.

        Raises UnknownRowError when there is no such vehicle.
        """
        found = conn.execute(
            sql.SQL(
                "insert into {table} ({columns}) select {columns}"
                " from jsonb_populate_record(null::{table}, %s) on conflict do nothing"
            ).format(table=sql.Identifier(self.table), columns=self._columns),
            [self._json(conn, row)],
        )
        return found.rowcount == 1

    def save(self, conn: Connection, row: R) -> None:
        """Write a changed row over the version before it. Raises RowChangedError."""
        key, version = getattr(row, self._key), getattr(row, "version") - 1  # noqa: B009
        changed = conn.execute(
            sql.SQL(
                "update {table} set ({columns}) = (select {columns}"
                " from jsonb_populate_record(null::{table}, %s)) where {key} = %s and version = %s"
            ).format(
                table=sql.Identifier(self.table),
                columns=self._columns,
                key=sql.Identifier(self._key),
            ),
            [self._json(conn, row), key, version],
        )
        if changed.rowcount != 1:
            raise RowChangedError(self._noun, key, version)

    def find(self, conn: Connection, key: uuid.UUID) -> R:
        """One row. Raises UnknownRowError."""
        return self._only(self.select(conn, sql.SQL(" where t.{} = %s").format(self._id), [key]))

    def lock(self, conn: Connection, key: uuid.UUID) -> R:
        """One row, nobody else's until the transaction ends. Raises UnknownRowError."""
        tail = sql.SQL(" where t.{} = %s for update of t").format(self._id)
        return self._only(self.select(conn, tail, [key]))

    def first(self, conn: Connection, tail: LiteralString, values: Sequence[object]) -> R | None:
        """The first row a condition finds."""
        return next(iter(self.select(conn, sql.SQL(tail), values)), None)

    def page(
        self,
        conn: Connection,
        condition: LiteralString = "true",
        values: Sequence[object] = (),
        *,
        before: tuple[datetime, uuid.UUID] | None = None,
        limit: int = 50,
    ) -> list[R]:
        """Newest first, from below (opened_at, key) of the last row of the page before."""
        moment, key = before or (None, None)
        tail = sql.SQL(
            " where (" + condition + ") and (%s::timestamptz is null"
            " or (t.opened_at, t.{key}) < (%s, %s::uuid))"
            " order by t.opened_at desc, t.{key} desc limit %s"
        ).format(key=self._id)
        return self.select(conn, tail, [*values, moment, moment, key, limit])

    def select(self, conn: Connection, tail: sql.Composable, values: Sequence[object]) -> list[R]:
        """Rows `t` of vehicles `v`."""
        query = sql.SQL(
            "select to_jsonb(t) || jsonb_build_object('vin', v.vin)"
            " from {} t join vehicle v using (vehicle_id)"
        ).format(sql.Identifier(self.table))
        rows = conn.execute(sql.Composed([query, tail]), values).fetchall()
        return [self._read(row) for (row,) in rows]

    @property
    def _id(self) -> sql.Identifier:
        return sql.Identifier(self._key)

    def _read(self, row: object) -> R:
        assert isinstance(row, dict)
        fields = self._record.model_fields
        return self._record.model_validate({k: v for k, v in row.items() if k in fields})

    def _json(self, conn: Connection, row: R) -> Jsonb:
        values = row.model_dump(mode="json")
        vin = values.pop("vin")
        found = conn.execute("select vehicle_id from vehicle where vin = %s", [vin]).fetchone()
        if found is None:
            raise UnknownRowError("vehicle")
        return Jsonb({**values, "vehicle_id": found[0]})

    def _only(self, rows: list[R]) -> R:
        if not rows:
            raise UnknownRowError(self._noun)
        return rows[0]

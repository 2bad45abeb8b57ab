"""Rows of master tables, read and written by key as JSON records.

PostgreSQL itself turns the records into its types, so one statement serves every table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from psycopg import sql
from psycopg.types.json import Jsonb

from model.record import Record
from store.database import Connection

Row = Mapping[str, object]
R = TypeVar("R", bound=Record)


def upsert(
    conn: Connection, table: str, keys: Sequence[str], rows: Sequence[Row], *, keep: str = ""
) -> None:
    """Create rows or change them. All rows have the same fields, ready for JSON; `keep` names
    one that only a new row takes.
    """
    if not rows:
        return
    names = list(rows[0])
    changed = [n for n in names if n not in keys and n != keep]
    conn.execute(
        sql.SQL(
            "insert into {table} as old ({names}) select {names}"
            " from jsonb_populate_recordset(null::{table}, %s)"
            " on conflict ({keys}) do update set {sets}"
        ).format(
            table=sql.Identifier(table),
            names=_names(names),
            keys=_names(keys),
            sets=sql.SQL(", ").join(_set(n) for n in changed or keys),
        ),
        [Jsonb(list(rows))],
    )


def all_rows(conn: Connection, table: str, keys: Sequence[str], model: type[R]) -> list[R]:
    """Every row of a table in the order of its key, with the fields that the model knows."""
    rows = conn.execute(
        sql.SQL("select to_jsonb(t) from {table} t order by {keys}").format(
            table=sql.Identifier(table), keys=_names(keys)
        )
    )
    return [_record(row, model) for (row,) in rows]


def find(
    conn: Connection, table: str, keys: Sequence[str], wanted: Sequence[Row], model: type[R]
) -> list[R]:
    """The rows that exist under the wanted keys, locked in the order of their keys."""
    rows = conn.execute(
        sql.SQL(
            "select to_jsonb(t) from {table} t"
            " join jsonb_populate_recordset(null::{table}, %s) w using ({keys})"
            " order by {keys} for update of t"
        ).format(table=sql.Identifier(table), keys=_names(keys)),
        [Jsonb([{k: row[k] for k in keys} for row in wanted])],
    )
    return [_record(row, model) for (row,) in rows]


def existing(conn: Connection, table: str, key: str, wanted: Sequence[str]) -> set[str]:
    """Which of these keys are there."""
    rows = conn.execute(
        sql.SQL("select {key} from {table} where {key} = any(%s)").format(
            table=sql.Identifier(table), key=sql.Identifier(key)
        ),
        [list(wanted)],
    )
    return {str(value) for (value,) in rows}


def _record(row: object, model: type[R]) -> R:
    assert isinstance(row, dict)
    return model.model_validate({k: v for k, v in row.items() if k in model.model_fields})


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _set(name: str) -> sql.Composed:
    return sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))

"""Imported lists of trouble codes: whole lists go in and out, single codes are looked up."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from psycopg.rows import class_row, dict_row

from model.code_book import CodeList, ListedCode
from model.code_names import keys
from model.codes import Dtc
from store.database import Connection, UnknownRowError


@dataclass(frozen=True, slots=True)
class StoredList:
    """A list without its rows."""

    list_name: str
    brand: str
    model: str
    rows: int
    imported_at: datetime


def replace(conn: Connection, code_list: CodeList) -> bool:
    """Store a list in place of the one of that name; False when it is stored like this already."""
    digest = _digest(code_list)
    changed = conn.execute(
        "insert into code_list (list_name, brand, model, digest) values (%s, %s, %s, %s)"
        " on conflict (list_name) do update set brand = excluded.brand, model = excluded.model,"
        " digest = excluded.digest, imported_at = now()"
        " where code_list.digest <> excluded.digest",
        [code_list.name, code_list.brand, code_list.model, digest],
    ).rowcount
    if not changed:
        return False
    conn.execute("delete from listed_code where list_name = %s", [code_list.name])
    with conn.cursor().copy(
        "copy listed_code (list_name, code, zh, en, system, severity, action) from stdin"
    ) as copy:
        for row in code_list.codes.values():
            copy.write_row(
                (code_list.name, row.code, row.zh, row.en, row.system, row.severity, row.action)
            )
    return True


def remove(conn: Connection, list_name: str) -> None:
    """Forget a list. Raises UnknownRowError."""
    if not conn.execute("delete from code_list where list_name = %s", [list_name]).rowcount:
        raise UnknownRowError("code list")


def names(conn: Connection) -> list[StoredList]:
    """All lists, newest first."""
    with conn.cursor(row_factory=class_row(StoredList)) as cur:
        return cur.execute(
            "select l.list_name, brand, model, count(c.code)::int as rows, imported_at"
            " from code_list l left join listed_code c using (list_name)"
            " group by l.list_name order by imported_at desc, l.list_name"
        ).fetchall()


def naming(conn: Connection, dtcs: Sequence[Dtc]) -> list[CodeList]:
    """The lists that name any of these codes, newest first, with no more than those rows.

    Give them to `model.code_book.explain`.
    """
    return _lists(conn, sorted({key for dtc in dtcs for key in keys(dtc)}))


def everything(conn: Connection) -> list[CodeList]:
    """All lists with all rows, newest first."""
    return _lists(conn, None)


def _lists(conn: Connection, wanted: list[str] | None) -> list[CodeList]:
    with conn.cursor(row_factory=dict_row) as cur:
        found = cur.execute(
            "select list_name, brand, model, code, zh, en, system, severity, action"
            " from code_list join listed_code using (list_name)"
            " where %(wanted)s::text[] is null or code = any(%(wanted)s)"
            " order by imported_at desc, list_name, code",
            {"wanted": wanted},
        ).fetchall()
    heads: dict[str, dict[str, str]] = {}
    codes: defaultdict[str, dict[str, ListedCode]] = defaultdict(dict)
    for row in found:
        name = row.pop("list_name")
        heads[name] = {"brand": row.pop("brand"), "model": row.pop("model")}
        codes[name][row["code"]] = ListedCode.model_validate(row)
    return [CodeList(name=name, codes=codes[name], **head) for name, head in heads.items()]


def _digest(code_list: CodeList) -> bytes:
    rows = [row.model_dump(mode="json") for _, row in sorted(code_list.codes.items())]
    return hashlib.sha256(orjson.dumps([code_list.brand, code_list.model, rows])).digest()

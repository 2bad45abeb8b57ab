"""Imported lists of codes: whole or not at all, looked up by key."""

from __future__ import annotations

import pytest

from model.code_book import CodeList, ListedCode, explain
from model.code_names import dtc_of
from model.severity import Severity
from store import code_lists
from store.database import Connection, UnknownRowError

FULL = ListedCode(
    code="P0217", zh="高温", en="Hot", system="cooling", severity=Severity.STOP, action="stop"
)


def code_list(name: str, *rows: ListedCode, brand: str = "", model: str = "") -> CodeList:
    return CodeList(name=name, brand=brand, model=model, codes={row.code: row for row in rows})


def test_a_list_comes_back_as_it_was(conn: Connection) -> None:
    stored = code_list("maker", FULL, ListedCode(code="110", zh="水温"), brand="Geely", model="E5")
    assert code_lists.replace(conn, stored)
    assert code_lists.everything(conn) == [
        stored.model_copy(update={"codes": dict(sorted(stored.codes.items()))})
    ]
    assert not code_lists.replace(conn, stored)
    [head] = code_lists.names(conn)
    assert (head.list_name, head.brand, head.model, head.rows) == ("maker", "Geely", "E5", 2)


def test_the_same_name_again_replaces_all_of_it(conn: Connection) -> None:
    code_lists.replace(conn, code_list("maker", FULL))
    smaller = code_list("maker", ListedCode(code="P0218", en="Gearbox"), brand="Volvo")
    assert code_lists.replace(conn, smaller)
    assert code_lists.everything(conn) == [smaller]


def test_only_rows_that_name_the_code_are_read(conn: Connection) -> None:
    rows = [FULL, ListedCode(code="U0100", en="a"), ListedCode(code="U0100-87", en="b")]
    code_lists.replace(conn, code_list("one", *rows, ListedCode(code="110", en="c")))
    code_lists.replace(conn, code_list("two", ListedCode(code="P0300", en="d")))
    found = code_lists.naming(conn, [dtc_of("U0100-87"), dtc_of("110/3")])
    assert [(f.name, sorted(f.codes)) for f in found] == [("one", ["110", "U0100", "U0100-87"])]
    assert code_lists.naming(conn, []) == []
    assert explain(dtc_of("U0100-87"), found).en == "b"


def test_the_list_imported_last_comes_first(conn: Connection) -> None:
    for name in ("old", "new"):
        code_lists.replace(conn, code_list(name, FULL))
        conn.commit()  # now() is the transaction's
    assert [f.name for f in code_lists.naming(conn, [dtc_of("P0217")])] == ["new", "old"]
    code_lists.replace(conn, code_list("old", FULL))
    assert [f.name for f in code_lists.everything(conn)] == ["new", "old"]


def test_a_removed_list_is_gone(conn: Connection) -> None:
    code_lists.replace(conn, code_list("maker", FULL))
    code_lists.remove(conn, "maker")
    assert code_lists.everything(conn) == [] == code_lists.names(conn)
    assert conn.execute("select count(*) from listed_code").fetchone() == (0,)
    with pytest.raises(UnknownRowError, match="no such code list"):
        code_lists.remove(conn, "maker")

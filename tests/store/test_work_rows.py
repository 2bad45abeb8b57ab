"""Rows of work: written once, changed by version, read back as they were."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from model.vehicle import Vehicle
from model.work_order import ExtraItem, OrderSource, PartLine, WorkOrder, WorkOrderState
from store import masters, work_orders
from store.database import Connection, UnknownRowError, connect
from store.work_rows import RowChangedError

NOW = datetime(2025, 3, 1, 8, 0, 0, 123456, tzinfo=UTC)
VIN = "LRDCALL0000000001"


@pytest.fixture
def conn(dsn: str) -> Connection:
    made = connect(dsn)
    masters.upsert_vehicles(made, [Vehicle(vin=VIN, profile="demo_car")])
    return made


def order(number: int = 1, **more: object) -> WorkOrder:
    facts: dict[str, object] = {
        "work_order_id": uuid.UUID(int=number),
        "vin": VIN,
        "source": OrderSource.CUSTOMER,
        "owner": "hz",
        "items": ("润滑油, 机滤", 'a "quoted" one', "{brace}"),
        "parts": (PartLine(part_no="T1", qty=2.5, urgent=True),),
        "extra_items": (ExtraItem(text="pads", found_at=NOW),),
        "odometer_km": 15_000.25,
        "opened_at": NOW,
        "changed_at": NOW,
    }
    return WorkOrder.model_validate(facts | more)


def test_a_row_comes_back_as_it_was(conn: Connection) -> None:
    with conn:
        assert work_orders.ROWS.insert(conn, order())
        assert not work_orders.ROWS.insert(conn, order(owner="somebody else"))
        assert work_orders.ROWS.find(conn, uuid.UUID(int=1)) == order()


def test_a_change_over_an_unseen_version_is_refused(conn: Connection) -> None:
    with conn:
        work_orders.ROWS.insert(conn, order())
        changed = order(state=WorkOrderState.REQUESTED, version=1, items=())
        work_orders.ROWS.save(conn, changed)
        assert work_orders.ROWS.lock(conn, changed.work_order_id) == changed
        with pytest.raises(RowChangedError, match="is no longer at version 0"):
            work_orders.ROWS.save(conn, changed)


def test_what_is_unknown_is_said(conn: Connection) -> None:
    with conn:
        with pytest.raises(UnknownRowError, match="no such work order"):
            work_orders.ROWS.find(conn, uuid.UUID(int=9))
        with pytest.raises(UnknownRowError, match="no such vehicle"):
            work_orders.ROWS.insert(conn, order(vin="LRDCALL0000000009"))


def test_pages_go_on_where_they_ended(conn: Connection) -> None:
    with conn:
        for n in range(5):
            work_orders.ROWS.insert(conn, order(n, opened_at=NOW + timedelta(seconds=n // 2)))
        seen, before = [], None
        while rows := work_orders.ROWS.page(conn, before=before, limit=2):
            seen += [row.work_order_id.int for row in rows]
            before = rows[-1].opened_at, rows[-1].work_order_id
    assert seen == [4, 3, 2, 1, 0]

"""A small network written row by row, as the services would, as far as figures look at it."""

from __future__ import annotations

import json
import uuid
from datetime import date, datetime, timedelta, timezone

from model.hours import parse_hours
from model.record import Record
from model.vehicle import RescueUnit, Station, Vehicle, Zone
from store import figures, masters
from store.database import Connection
from store.master_import import nothing_wrong, put

BEIJING = timezone(timedelta(hours=8))
#: A Monday.
DAY = date(2025, 3, 3)
CAR, OTHER = "LRDCALL0000000001", "LRDCALL0000000002"


def at(hour: float, day: int = 3) -> datetime:
    return datetime(2025, 3, day, tzinfo=BEIJING) + timedelta(hours=hour)


def key() -> str:
    return str(uuid.uuid4())


class World:
    """Writes rows as the services would, as far as figures look at them."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        for name, zone in (("hz", Zone.CITY), ("sh", Zone.COUNTY)):
            row = Station(
                station_id=name,
                name=name,
                latitude_deg=30,
                longitude_deg=120,
                zone=zone,
                bays=4 if name == "hz" else 0,
                hours=parse_hours("Mo-Fr 08:00-18:00"),
            )
            masters.upsert_stations(conn, [row])
        units = [
            RescueUnit(unit_id=u, station_id=s, name=u, latitude_deg=30, longitude_deg=120)
            for u, s in (("hz-a", "hz"), ("hz-b", "hz"), ("sh-a", "sh"))
        ]
        masters.upsert_units(conn, units)
        cars = [
            Vehicle(vin=CAR, profile="demo_car", preferred_station="hz"),
            Vehicle(vin=OTHER, profile="demo_car", preferred_station="sh"),
        ]
        self.ids = masters.upsert_vehicles(conn, cars)

    def write(self, kind: str, record: Record) -> None:
        _, faults = put(self.conn, kind, record, at(0), nothing_wrong, actor="test")
        assert faults == []

    def alert(
        self,
        fired: datetime,
        *,
        vin: str = CAR,
        severity: int = 2,
        handling: str = "new",
        rule: str = "r",
    ) -> str:
        alert_id = key()
        self.conn.execute(
            "insert into alert (alert_id, vehicle_id, rule_id, rule_version, instance, severity,"
            " state, handling, history, started_at, fired_at, changed_at, evidence, evidence_at,"
            " thresholds) values (%s, %s, %s, 1, '', %s, 'firing', %s, false, %s, %s, %s, '{}', %s,"
            " '{}')",
            [alert_id, self.ids[vin], rule, severity, handling, *[fired] * 4],
        )
        return alert_id

    def clock(
        self,
        kind: str,
        noun: str,
        noun_id: str,
        start: datetime,
        stop: datetime | None,
        met: bool | None,
    ) -> None:
        self.conn.execute(
            "insert into clock (clock_id, kind, noun, noun_id, promise, started_at, due_at,"
            " stopped_at, met) values (%s, %s, %s, %s, '{}', %s, %s, %s, %s)",
            [key(), kind, noun, noun_id, start, start, stop, met],
        )

    def rescue(
        self,
        unit: str,
        requested: datetime,
        arrived: datetime | None,
        *,
        promised: datetime | None = None,
        zone: str = "city",
        met: bool | None = None,
    ) -> None:
        case_id = key()
        self.conn.execute(
            "insert into rescue_case (case_id, vehicle_id, severity, state, latitude_deg,"
            " longitude_deg, zone, requested_at, unit_id, arrived_at, promised_at, source)"
            " values (%s, %s, 3, 'cleared', 30, 120, %s, %s, %s, %s, %s, 'driver')",
            [case_id, self.ids[CAR], zone, requested, unit, arrived, promised],
        )
        self.clock("arrival", "rescue_case", case_id, requested, arrived, met)
        for i, answer in enumerate(["declined", "accepted"] if unit == "hz-a" else ["withdrawn"]):
            self.conn.execute(
                "insert into rescue_offer (case_id, version, unit_id, kind, offered_at, eta_s,"
                " answer) values (%s, %s, %s, 'offer', %s, 600, %s)",
                [case_id, i, "hz-b" if answer == "declined" else unit, requested, answer],
            )

    def case(self, alert_id: str, *, vin: str = CAR, repeat_of: str | None = None,
             opened: datetime | None = None) -> str:  # fmt: skip
        case_id = key()
        self.conn.execute(
            "insert into diagnosis_case (case_id, vehicle_id, alert_id, fault_key, rule_id,"
            " severity, state, level, station_id, owner, repeat_no, repeat_of, opened_at,"
            " changed_at, closed_at, version)"
            " values (%s, %s, %s, %s, 'r', 2, 'done', 1, 'hz', 'hz', 1, %s, %s, %s, %s, 1)",
            [case_id, self.ids[vin], alert_id, key(), repeat_of, *[opened or at(1)] * 3],
        )
        self.conn.execute("insert into diagnosis_case_alert values (%s, %s)", [alert_id, case_id])
        return case_id

    def order(
        self,
        steps: list[tuple[str, str, datetime]],
        *,
        case_id: str | None = None,
        station: str = "hz",
        vin: str = CAR,
        source: str = "alert",
        **fields: object,
    ) -> str:
        """`steps`: (step, state it led to, when), in order."""
        order_id = key()
        row: dict[str, object] = {
            "work_order_id": order_id, "vehicle_id": self.ids[vin], "case_id": case_id,
            "source": source, "priority_lane": False, "loaner_needed": False,
            "station_id": station, "owner": station, "state": steps[-1][1], "complaint": "",
            "confirmed_cause": "", "correction": "", "items": [], "parts": "[]",
            "extra_items": "[]", "photos_ref": [], "repeat_no": 1, "opened_at": steps[0][2],
            "changed_at": steps[-1][2], "overrun": False, "version": len(steps), **fields,
        }  # fmt: skip
        self.conn.execute(
            f"insert into work_order ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})",
            list(row.values()),
        )
        for version, (step, state, moment) in enumerate(steps):
            detail = {"version": version, "state": state, "at": moment.isoformat()}
            self.conn.execute(
                "insert into audit (noun, noun_id, step, actor, detail)"
                " values ('work_order', %s, %s, 'li', %s)",
                [order_id, step, json.dumps(detail)],
            )
        return order_id

    def plan(self, case_id: str, approved: datetime | None) -> None:
        self.conn.execute(
            "insert into repair_plan (case_id, version, body, author, created_at, approved_by,"
            " approved_at) values (%s, 1, '{}', 'li', %s, %s, %s)",
            [case_id, at(0), "li" if approved else None, approved],
        )

    def figures(self, station: str | None = None, day: date = DAY) -> dict[str, float | None]:
        return {f.key: f.value for f in figures.key_figures(self.conn, day, day, station)}

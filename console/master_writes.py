"""PUT of one master record, and imports of many. Repeating a call changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date
from enum import Enum
from hashlib import sha256
from typing import Annotated

import orjson
from fastapi import APIRouter, Body, Query
from fastapi.exceptions import RequestValidationError

from console.access import OPERATOR
from console.master_bodies import ChangeBody, ImportBody, RowFaultBody
from console.parameters import Key, VinPath
from console.problems import field_problem
from console.reads import Reads
from model.clock import utc
from model.master_files import RowFault, row_of
from model.masters import Duty, PartStock, Person, Region, SurveyScore, VehicleRecord
from model.record import Record
from model.vehicle import RescueUnit, Station
from store.database import transaction
from store.master_import import Change, Importer, Outcome, VehicleFault, put, record_import
from store.master_kinds import KINDS

TAGS: list[str | Enum] = ["master data"]
#: Rows of one import; larger files go through `roadcall masters import`.
MAX_ROWS = 10_000
Rows = Annotated[list[dict[str, object]], Body(max_length=MAX_ROWS)]
DryRun = Annotated[bool, Query(description="Say what would change, store nothing.")]
SkipFaulty = Annotated[bool, Query(description="Store the good rows all the same.")]


def add(router: APIRouter, reads: Reads, vehicle_fault: VehicleFault) -> None:
    """Add the routes."""
    _add_network(router, _Writer(reads, vehicle_fault))
    _add_reports(router, _Writer(reads, vehicle_fault))
    _add_imports(router, reads, vehicle_fault)


class _Writer:
    """Puts one record; its key must be the one of the path."""

    def __init__(self, reads: Reads, vehicle_fault: VehicleFault) -> None:
        self._reads, self._vehicle_fault = reads, vehicle_fault

    def __call__(self, kind: str, record: Record, **path: object) -> ChangeBody:
        for name, value in path.items():
            if getattr(record, name) != value:
                raise field_problem(f"body.{name}", "differs from the path")
        now = utc(self._reads.clock.now_ns())
        with transaction(self._reads.pool) as conn:
            change, faults = put(conn, kind, record, now, self._vehicle_fault, actor=OPERATOR)
        if change is None:
            raise _refused(faults)
        return _change(change)


def _add_network(router: APIRouter, write: _Writer) -> None:
    @router.put("/regions/{region_id}", tags=TAGS, summary="Create or replace a region")
    def put_region(region_id: Key, body: Region) -> ChangeBody:
        return write("region", body, region_id=region_id)

    @router.put("/stations/{station_id}", tags=TAGS, summary="Create or replace a station")
    def put_station(station_id: Key, body: Station) -> ChangeBody:
        return write("station", body, station_id=station_id)

    @router.put("/persons/{person_id}", tags=TAGS, summary="Create or replace a person")
    def put_person(person_id: Key, body: Person) -> ChangeBody:
        return write("person", body, person_id=person_id)

    @router.put("/units/{unit_id}", tags=TAGS, summary="Create or replace a rescue unit")
    def put_unit(unit_id: Key, body: RescueUnit) -> ChangeBody:
        return write("unit", body, unit_id=unit_id)

    @router.put("/vehicles/{vin}", tags=TAGS, summary="Register or replace a vehicle")
    def put_vehicle(vin: VinPath, body: VehicleRecord) -> ChangeBody:
        return write("vehicle", body, vin=vin)


def _add_reports(router: APIRouter, write: _Writer) -> None:
    """What attendance, parts and survey systems tell again and again."""

    @router.put("/duties/{duty_id}", tags=TAGS, summary="A duty interval of a person or unit")
    def put_duty(duty_id: Key, body: Duty) -> ChangeBody:
        return write("duty", body, duty_id=duty_id)

    @router.put("/parts/{part_no}/{warehouse}", tags=TAGS, summary="How many parts there are")
    def put_part(part_no: Key, warehouse: Key, body: PartStock) -> ChangeBody:
        return write("part", body, part_no=part_no, warehouse=warehouse)

    @router.put(
        "/scores/{station_id}/{source}/{day}", tags=TAGS, summary="A survey's score of a station"
    )
    def put_score(station_id: Key, source: Key, day: date, body: SurveyScore) -> ChangeBody:
        return write("score", body, station_id=station_id, source=source, day=day)


def _add_imports(router: APIRouter, reads: Reads, vehicle_fault: VehicleFault) -> None:
    def importer_of(kind: str) -> Callable[..., ImportBody]:
        def import_rows(
            rows: Rows, dry_run: DryRun = False, skip_faulty: SkipFaulty = False
        ) -> ImportBody:
            found = [row_of(line, fields, KINDS[kind].model) for line, fields in enumerate(rows, 1)]
            with transaction(reads.pool) as conn:
                now = utc(reads.clock.now_ns())
                changes, faults = Importer(conn, KINDS[kind], now, vehicle_fault).take(found)
                written = not dry_run and (skip_faulty or not faults)
                if written:
                    counts = Counter(c.outcome for c in changes)
                    digest = sha256(orjson.dumps(rows, option=orjson.OPT_SORT_KEYS)).hexdigest()
                    record_import(
                        conn, kind, counts, faults=len(faults), sha256=digest, actor=OPERATOR
                    )
                else:
                    conn.rollback()
            return _outcome(changes, faults, written)

        return import_rows

    for kind in KINDS:
        router.post(
            f"/imports/{kind}",
            tags=TAGS,
            summary=f"Create or change many records: {kind}",
            description="All of it, or nothing. A field that is left out stays as it is.",
            operation_id=f"import_{kind}",
        )(importer_of(kind))


def _outcome(changes: Sequence[Change], faults: Sequence[RowFault], written: bool) -> ImportBody:
    counts = Counter(c.outcome for c in changes)
    return ImportBody(
        written=written,
        created=counts[Outcome.CREATED],
        changed=counts[Outcome.CHANGED],
        unchanged=counts[Outcome.UNCHANGED],
        changes=[_change(c) for c in changes if c.outcome is not Outcome.UNCHANGED],
        faults=[RowFaultBody(line=f.line, field=f.field, reason=f.reason) for f in faults],
    )


def _change(change: Change) -> ChangeBody:
    names = [name for name, _, _ in change.fields]
    return ChangeBody(line=change.line, key=list(change.key), outcome=change.outcome, fields=names)


def _refused(faults: Sequence[RowFault]) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body", f.field), "msg": f.reason} for f in faults])

"""`roadcall vehicle | gateway | fleet`: who is there, and who may push for whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dbc.profile import load_profile
from model.clock import SystemClock, utc
from model.errors import RoadcallError
from model.master_files import Row, RowFault
from model.masters import Duty, Person, Region, VehicleRecord
from model.vehicle import Record, RescueUnit, Station, Vehicle
from roadcall import wiring
from roadcall.cli_masters import cli_user, digest
from roadcall.cli_run import open_settings
from roadcall.vehicle_check import vehicle_fault
from store import masters
from store.database import Connection, transaction
from store.master_import import Importer, record_import
from store.master_kinds import KINDS

vehicle = typer.Typer(no_args_is_help=True, help="Vehicles.")
gateway = typer.Typer(no_args_is_help=True, help="Gateways and their tokens.")
fleet = typer.Typer(no_args_is_help=True, help="Master data in bulk.")


def register(app: typer.Typer) -> None:
    """Add the command groups."""
    app.add_typer(vehicle, name="vehicle")
    app.add_typer(gateway, name="gateway")
    app.add_typer(fleet, name="fleet")


#: Kinds of records and the parts of a fleet file that hold them, in an order that fits.
PARTS = {
    "region": "regions",
    "station": "stations",
    "person": "persons",
    "unit": "units",
    "duty": "duties",
    "vehicle": "vehicles",
}


class GatewayRow(Record):
    """One gateway and the vehicles it may push for."""

    gateway_id: str
    vins: tuple[str, ...]


class FleetFile(Record):
    """A JSON file of master data; every part may be missing."""

    regions: tuple[Region, ...] = ()
    stations: tuple[Station, ...] = ()
    persons: tuple[Person, ...] = ()
    units: tuple[RescueUnit, ...] = ()
    duties: tuple[Duty, ...] = ()
    vehicles: tuple[VehicleRecord, ...] = ()
    gateways: tuple[GatewayRow, ...] = ()


class FleetRefusedError(RoadcallError):
    """A file whose parts do not fit together; nothing of it is stored."""

    def __init__(self, *, part: str, fault: RowFault) -> None:
        super().__init__(f"{part} {fault}")
        self.part, self.fault = part, fault


@vehicle.command("add")
def add_vehicle(
    vin: str,
    profile: Annotated[str, typer.Option(help="A profile of dbc/ or ROADCALL_PROFILE_PATH.")],
    plate: str = "",
    brand: str = "",
    model: str = "",
    powertrain: Annotated[str, typer.Option(help="combustion, hybrid or electric.")] = "",
    battery_chemistry: Annotated[str, typer.Option(help="NCM or LFP.")] = "",
    cells_in_series: int = 0,
) -> None:
    """Register one vehicle; the dispatcher gives it its maintenance programme."""
    settings = open_settings()
    known = load_profile(profile, settings.profile_path)
    record = Vehicle(
        vin=vin,
        profile=profile,
        plate=plate,
        brand=brand,
        model=model,
        powertrain=powertrain or known.powertrain,
        battery_chemistry=battery_chemistry,
        cells_in_series=cells_in_series,
    )
    with wiring.database(settings) as db, transaction(db.pool) as conn:
        register_vehicles(conn, (record,))
    typer.echo(f"vehicle {vin} registered with profile {profile}")


def register_vehicles(conn: Connection, vehicles: tuple[Vehicle, ...]) -> None:
    """Create or change vehicles; the dispatcher gives them their maintenance programmes."""
    masters.upsert_vehicles(conn, vehicles)


@gateway.command("add")
def add_gateway(
    gateway_id: str,
    vin: Annotated[list[str], typer.Option(help="A vehicle it may push for; repeat.")],
) -> None:
    """Register a gateway and print its token, once."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        typer.echo(masters.create_gateway(conn, gateway_id, vin))


@gateway.command("revoke")
def revoke_gateway(gateway_id: str) -> None:
    """Its token stops working within seconds."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        masters.revoke_gateway(conn, gateway_id)
    typer.echo(f"gateway {gateway_id} revoked")


@fleet.command("import")
def import_fleet(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """A small fleet in one JSON file: regions, stations, persons, units, duties, vehicles …

    Prints new tokens. Larger ones, and CSV: `roadcall masters import`.
    """
    parts = FleetFile.model_validate_json(file.read_bytes())
    settings = open_settings()
    with wiring.database(settings) as db, transaction(db.pool) as conn:
        for kind, part in PARTS.items():
            records: Sequence[Record] = getattr(parts, part)
            importer = Importer(
                conn, KINDS[kind], utc(SystemClock().now_ns()), vehicle_fault(settings)
            )
            changes, faults = importer.take([Row(i, r) for i, r in enumerate(records, 1)])
            if faults:
                raise FleetRefusedError(part=part, fault=faults[0])
            if changes:
                counts = Counter(c.outcome for c in changes)
                record_import(
                    conn, kind, counts, faults=0, sha256=digest(file), actor=cli_user(),
                    file=file.name,
                )  # fmt: skip
        for row in parts.gateways:
            token = masters.create_gateway(conn, row.gateway_id, row.vins)
            typer.echo(f"gateway {row.gateway_id}: {token}")

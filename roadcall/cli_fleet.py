"""`roadcall vehicle | gateway | fleet`: who is there, and who may push for whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbc.profile import load_profile
from model.clock import SystemClock, utc
from model.vehicle import Record, RescueUnit, Station, Vehicle
from roadcall import wiring
from roadcall.cli_run import open_settings
from rules.maintenance import items_for, programmes
from store import maintenance, masters
from store.database import Connection, transaction

vehicle = typer.Typer(no_args_is_help=True, help="Vehicles.")
gateway = typer.Typer(no_args_is_help=True, help="Gateways and their tokens.")
fleet = typer.Typer(no_args_is_help=True, help="Master data in bulk.")


def register(app: typer.Typer) -> None:
    """Add the command groups."""
    app.add_typer(vehicle, name="vehicle")
    app.add_typer(gateway, name="gateway")
    app.add_typer(fleet, name="fleet")


class GatewayRow(Record):
    """One gateway and the vehicles it may push for."""

    gateway_id: str
    vins: tuple[str, ...]


class FleetFile(Record):
    """A JSON file of master data; every part may be missing."""

    stations: tuple[Station, ...] = ()
    units: tuple[RescueUnit, ...] = ()
    vehicles: tuple[Vehicle, ...] = ()
    gateways: tuple[GatewayRow, ...] = ()


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
    """Register one vehicle, with the maintenance programme of its powertrain."""
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
    """Upsert vehicles; those new get their maintenance items."""
    now = utc(SystemClock().now_ns())
    masters.upsert_vehicles(conn, vehicles)
    known = programmes()
    items = [
        item
        for row in vehicles
        if row.powertrain in known
        for item in items_for(row, known[row.powertrain], now)
    ]
    maintenance.upsert(conn, items)


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
    """Stations, units, vehicles and gateways from a JSON file; prints new tokens."""
    rows = FleetFile.model_validate_json(file.read_bytes())
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        masters.upsert_stations(conn, rows.stations)
        masters.upsert_units(conn, rows.units)
        register_vehicles(conn, rows.vehicles)
        for row in rows.gateways:
            token = masters.create_gateway(conn, row.gateway_id, row.vins)
            typer.echo(f"gateway {row.gateway_id}: {token}")

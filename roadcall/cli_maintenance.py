"""`roadcall maintenance`: programmes, what is due, one vehicle's meter, campaigns."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from model.clock import SystemClock, utc
from model.errors import RoadcallError
from model.maintenance import Selector
from roadcall import wiring
from roadcall.cli_run import open_settings
from rules.programmes import programmes
from store import campaigns, maintenance
from store import maintenance_vehicles as care_rows
from store.database import transaction

maintenance_app = typer.Typer(no_args_is_help=True, help="Programmes, due services, campaigns.")
SHOWN = 200


class MaintenanceError(RoadcallError):
    """What was asked for cannot be done."""


def register(app: typer.Typer) -> None:
    """Add the command group."""
    app.add_typer(maintenance_app, name="maintenance")


@maintenance_app.command("programmes")
def list_programmes(name: Annotated[str | None, typer.Argument()] = None) -> None:
    """Every programme, or the services of one."""
    known = programmes(*open_settings().maintenance_path)
    if name is not None and name not in known:
        raise MaintenanceError(f"no such programme: {name}; known: {', '.join(known)}")
    table = Table("programme", "service", "zh", "km", "days", "hours", "rules", "source")
    for programme in [known[name]] if name else known.values():
        for row in programme.items:
            every = (row.repeat.km, row.repeat.days, row.repeat.hours)
            figures = ["" if f is None else f"{f:g}" for f in every]
            table.add_row(programme.name, row.en, row.zh, *figures, " ".join(row.rules), row.source)
    Console().print(table)


@maintenance_app.command("due")
def list_due(
    station: Annotated[str | None, typer.Option(help="Preferred station.")] = None,
) -> None:
    """What is due, by VIN."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        rows = maintenance.due_page(conn, limit=SHOWN, station_id=station)
    table = Table("vin", "service", "state", "km left", "days left", "date", "handling")
    for row in rows:
        km, days = row.remaining_km, row.remaining_days
        table.add_row(
            row.item.vin,
            row.item.kind,
            row.item.state,
            "" if km is None else f"{km:.0f}",
            "" if days is None else f"{days:.0f}",
            f"{row.due_at:%Y-%m-%d}" if row.due_at else "",
            row.handling,
        )
    Console().print(table)


@maintenance_app.command("show")
def show(vin: str) -> None:
    """One vehicle: meter, use, and how every service stands."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        care = care_rows.find(conn, vin)
        items = maintenance.of_vehicle(conn, vin)
    total = "unknown" if care.odometer_km is None else f"{care.odometer_km:.0f} km"
    typer.echo(
        f"odometer {total} ({care.odometer_source or 'not heard'}), use x {care.use_factor:g}"
    )
    typer.echo(f"severe use: {', '.join(care.use_reasons) or 'none'}")
    for row in items:
        date = f"{row.due_at:%Y-%m-%d}" if row.due_at else "not in sight"
        typer.echo(f"{row.item.kind:<16} {row.item.state:<9} {row.reason:<10} {date}")


@maintenance_app.command("programme")
def choose(vin: str, name: Annotated[str | None, typer.Argument()] = None) -> None:
    """Give a vehicle a programme by name; without a name the one that fits it."""
    settings = open_settings()
    known = programmes(*settings.maintenance_path)
    if name is not None and name not in known:
        raise MaintenanceError(f"no such programme: {name}; known: {', '.join(known)}")
    with wiring.database(settings) as db, transaction(db.pool) as conn:
        care = care_rows.lock(conn, vin)
        care_rows.choose_programme(conn, care.vehicle_id, name)
    typer.echo(f"programme: {name or 'as fits'}; the dispatcher adds its services")


@maintenance_app.command("campaign")
def campaign(
    campaign_id: str,
    zh: Annotated[str, typer.Option(help="Name in Chinese.")],
    en: Annotated[str, typer.Option(help="Name in English.")],
    selector: Annotated[Path, typer.Option(exists=True, help="JSON: model.maintenance.Selector.")],
    until: Annotated[datetime, typer.Option(help="UTC.")],
    dry_run: bool = False,
) -> None:
    """Ask all vehicles a selector means, with their next reminder."""
    chosen = Selector.model_validate_json(selector.read_bytes())
    now = utc(SystemClock().now_ns())
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        vins = campaigns.select(conn, chosen, now)
        if not dry_run and not campaigns.create(
            conn,
            campaign_id=campaign_id,
            zh=zh,
            en=en,
            selector=chosen,
            starts_at=now,
            ends_at=until.replace(tzinfo=now.tzinfo),
            actor="cli",
        ):
            raise MaintenanceError(f"campaign {campaign_id} is there already")
    typer.echo(f"{len(vins)} vehicles now{' (nobody is asked)' if dry_run else ''}")

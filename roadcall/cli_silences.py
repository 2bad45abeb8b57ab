"""`roadcall silences …` and `roadcall modes …`: who shall not hear of which alerts, until when."""

from __future__ import annotations

import getpass
import uuid
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from console import alert_steps
from console.acts import Act
from model.clock import SystemClock, utc
from model.severity import Severity
from model.suppression import Matchers, Mode, Silence, VehicleMode
from roadcall import wiring
from roadcall.cli_run import open_settings
from store import suppression as rows
from store.database import transaction

silences = typer.Typer(no_args_is_help=True, help="Silences: alerts nobody shall hear of.")
modes = typer.Typer(no_args_is_help=True, help="Vehicles in a workshop, on transport, in a demo.")

Hours = Annotated[float, typer.Option(min=0.01, max=400 * 24, help="For so long from now.")]


def register(app: typer.Typer) -> None:
    """Add the command groups."""
    app.add_typer(silences, name="silences")
    app.add_typer(modes, name="modes")


@silences.command("add")
def add_silence(
    reason: str,
    hours: Hours,
    rule: Annotated[str | None, typer.Option(help="A rule id or pattern: codes.*")] = None,
    vin: str | None = None,
    brand: str | None = None,
    model: str | None = None,
    station: str | None = None,
    severity_max: Annotated[int | None, typer.Option(min=-1, max=4)] = None,
    emergencies: Annotated[bool, typer.Option(help="Severity 4 too.")] = False,
) -> None:
    """Hush alerts that fit every option given. They are stored and shown all the same."""
    act = _act(reason)
    row = Silence(
        silence_id=uuid.uuid4(),
        matchers=Matchers(
            rule=rule,
            vin=vin,
            brand=brand,
            model=model,
            station_id=station,
            severity_max=None if severity_max is None else Severity(severity_max),
        ),
        starts_at=act.now,
        ends_at=act.now + timedelta(hours=hours),
        emergencies=emergencies,
        actor=act.actor,
        reason=reason,
        created_at=act.now,
    )
    with wiring.database(open_settings()) as db:
        alert_steps.hush(db.pool, row, act)
    typer.echo(str(row.silence_id))


@silences.command("list")
def list_silences() -> None:
    """Silences in force or to come."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        found = rows.silences(conn, _now())
    table = Table("id", "for", "from (UTC)", "until", "who", "why")
    for row in found:
        named = row.matchers.model_dump(exclude_none=True)
        meant = " ".join(f"{field}={value}" for field, value in named.items())
        table.add_row(str(row.silence_id), meant, *_span(row), row.actor, row.reason)
    Console().print(table)


@silences.command("end")
def end_silence(silence_id: uuid.UUID, reason: str = "") -> None:
    """End a silence now."""
    with wiring.database(open_settings()) as db:
        alert_steps.unhush(db.pool, silence_id, _act(reason))


@modes.command("enter")
def enter_mode(vin: str, mode: Mode, hours: Hours, reason: str = "") -> None:
    """The vehicle is in this mode from now on."""
    act = _act(reason)
    row = VehicleMode(
        mode_id=uuid.uuid4(),
        vin=vin,
        mode=mode,
        starts_at=act.now,
        ends_at=act.now + timedelta(hours=hours),
        actor=act.actor,
        reason=reason,
        created_at=act.now,
    )
    with wiring.database(open_settings()) as db:
        alert_steps.enter(db.pool, row, act)


@modes.command("leave")
def leave_mode(vin: str, reason: str = "") -> None:
    """The vehicle is on the road as usual again."""
    with wiring.database(open_settings()) as db:
        alert_steps.leave(db.pool, vin, _act(reason))


@modes.command("list")
def list_modes() -> None:
    """Vehicles not on the road as usual."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        found = rows.modes(conn, _now())
    table = Table("vin", "mode", "from (UTC)", "until", "who", "why")
    for row in found:
        table.add_row(row.vin, row.mode, *_span(row), row.actor, row.reason)
    Console().print(table)


def _span(row: Silence | VehicleMode) -> tuple[str, str]:
    return f"{row.starts_at:%Y-%m-%d %H:%M}", f"{row.ends_at:%Y-%m-%d %H:%M}"


def _now() -> datetime:
    return utc(SystemClock().now_ns())


def _act(reason: str) -> Act:
    return Act(getpass.getuser(), _now(), reason)

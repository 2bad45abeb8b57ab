"""`roadcall replay` and `roadcall simulate`: logs and simulated vehicles through the front door."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from model.clock import NS, SystemClock
from model.vehicle import Vehicle
from roadcall import wiring
from roadcall.cli_fleet import register_vehicles
from roadcall.cli_run import open_settings
from roadcall.pipeline import begun_with
from roadcall.settings import Settings
from simulators.fleet import Fleet
from simulators.gateway import Gateway, Totals
from simulators.pace import drive
from simulators.replay import ReplayProgress, replay
from store import masters, vehicle_state
from store.database import Connection, transaction

TOKEN_VARIABLE = "ROADCALL_GATEWAY_TOKEN"  # noqa: S105 - a name, not a token
#: The gateway this machine pushes as when no token is given.
LOCAL_GATEWAY = "local-replay"
To = Annotated[str, typer.Option(help="Address of the ingest service.")]
Token = Annotated[
    str,
    typer.Option(
        envvar=TOKEN_VARIABLE, help="Gateway token; without one the local database gives one."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command("replay")(replay_logs)
    app.command()(simulate)


def replay_logs(
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False)],
    vin: Annotated[str, typer.Option(help="The vehicle the log belongs to.")],
    profile: Annotated[
        str, typer.Option(help="Register the vehicle with this profile first.")
    ] = "",
    speed: Annotated[str, typer.Option(help="Times real time, or max.")] = "max",
    shift: Annotated[bool, typer.Option(help="Move times so that the log ends now.")] = False,
    shuffle: Annotated[
        int | None, typer.Option(help="Send in a random order with this seed.")
    ] = None,
    memory: Annotated[
        Path | None,
        typer.Option(exists=True, help="What evidence wrote beside the log; a new vehicle only."),
    ] = None,
    to: To = "",
    token: Token = "",
) -> None:
    """Push log files (candump, asc, blf, trc, csv, mf4; gz or zst) as one vehicle.

    Interrupted, the same command goes on where it stopped; nothing is stored twice.

      roadcall replay drive.blf --vin LSVAA4182E2184847 --profile demo_car --speed 10
    """
    settings = open_settings()
    if memory and (token or not profile):
        raise typer.BadParameter("--memory needs --profile, and this machine's own database")
    token = token or _local_token(
        settings, [Vehicle(vin=vin, profile=profile)] if profile else [], vin, memory
    )
    journal = wiring.home_of(settings) / "journals" / f"{_slug(vin, files, shift)}.jsonl"
    journal.parent.mkdir(parents=True, exist_ok=True)
    with _progress() as bar:
        task = bar.add_task(f"{len(files)} log file(s)", total=None)

        def show(step: ReplayProgress) -> None:
            done = step.totals.frames + step.totals.skipped_frames
            bar.update(task, total=step.frames, completed=done)

        totals = asyncio.run(
            replay(
                files,
                vin,
                to=to or _address(settings),
                token=token,
                clock=SystemClock(),
                speed=None if speed == "max" else float(speed),
                shift=shift,
                journal=journal,
                shuffle=shuffle,
                progress=show,
            )
        )
    journal.unlink(missing_ok=True)
    _report(totals)


def simulate(
    vehicles: Annotated[int, typer.Option(min=1, max=100_000)] = 5,
    seed: int = 1,
    scenario: Annotated[list[str] | None, typer.Option(help="A fault to seed; repeat.")] = None,
    seconds: Annotated[int, typer.Option(min=10, help="Length in the vehicles' time.")] = 1800,
    speed: Annotated[str, typer.Option(help="Times real time, or max.")] = "30",
    to: To = "",
    token: Token = "",
) -> None:
    """Drive simulated vehicles whose time ends now, frames encoded from our DBC files.

    roadcall simulate --vehicles 5 --seed 7 --scenario overheating
    """
    settings = open_settings()
    start_ns = SystemClock().now_ns() - seconds * NS
    fleet = Fleet(vehicles, seed, scenario or (), start_ns)
    token = token or _local_token(settings, list(fleet.vehicles), "")
    slices = seconds * NS // fleet.slice_ns
    with _progress() as bar:
        task = bar.add_task(f"{vehicles} vehicle(s), uploads", total=slices * vehicles)

        def show(totals: Totals) -> None:
            bar.update(task, completed=totals.batches + totals.skipped_batches)

        gateway = Gateway(to or _address(settings), token, progress=show)
        pace = None if speed == "max" else float(speed)
        totals = asyncio.run(drive(fleet, gateway, slices=slices, speed=pace))
    _report(totals)


def begin_with(conn: Connection, vehicle: Vehicle, memory: Path) -> None:
    """Register a vehicle that begins with what a rule remembered. Raises typer.BadParameter."""
    if masters.vehicles(conn, {vehicle.vin}):
        raise typer.BadParameter("--memory is for a vehicle that is not registered yet")
    register_vehicles(conn, (vehicle,))
    (state,) = vehicle_state.load(conn, vins=[vehicle.vin])
    kept = orjson.loads(memory.read_bytes())
    vehicle_state.save_memory(conn, [begun_with(state.vehicle_id, kept)])


def _local_token(
    settings: Settings, vehicles: list[Vehicle], vin: str, memory: Path | None = None
) -> str:
    """The token of this machine's own gateway, bound to these vehicles.

    The gateway keeps its name over runs, because it is part of a batch's identity.
    """
    file = wiring.home_of(settings) / "local-gateway.token"
    with wiring.database(settings, keep_running=True) as db, transaction(db.pool) as conn:
        if memory:
            begin_with(conn, vehicles[0], memory)
        known = {v.vin for v in vehicles}
        if vehicles and not masters.vehicles(conn, known).keys() >= known:
            register_vehicles(conn, tuple(vehicles))
        vins = sorted(known | ({vin} if vin else set()))
        token = file.read_text("ascii") if file.exists() else ""
        digest = hashlib.sha256(token.encode()).digest()
        if masters.find_gateway(conn, digest) is None:
            token = masters.create_gateway(conn, f"{LOCAL_GATEWAY}-{socket.gethostname()}", vins)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text(token, "ascii")
        else:
            masters.bind_gateway(conn, f"{LOCAL_GATEWAY}-{socket.gethostname()}", vins)
        return token


def _address(settings: Settings) -> str:
    return f"http://{settings.host}:{settings.port}"


def _slug(vin: str, files: list[Path], shift: bool) -> str:
    names = "-".join(sorted(f.name for f in files))[:80]
    return f"{vin}-{names}{'-shift' if shift else ''}"


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        transient=False,
    )


def _report(totals: Totals) -> None:
    typer.echo(
        f"{totals.frames} frames in {totals.batches} uploads acknowledged, "
        f"{totals.skipped_frames} acknowledged before, {totals.retries} retries"
    )

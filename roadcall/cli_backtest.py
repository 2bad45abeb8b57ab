"""`roadcall backtest`: what rules would have said about logs or stored history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from dbc.profile import load_profile
from decoders.decode import Decoder, Tails
from ingest.log_files import read_log
from model.clock import NS, ns_of, utc
from model.frames import FrameBatch, concatenate
from model.vehicle import Vehicle
from roadcall import wiring
from roadcall.arrival import decode_upload
from roadcall.cli_rules import bundle_named
from roadcall.cli_run import open_settings
from roadcall.recall import MAX_ARCHIVE_FRAMES
from roadcall.rule_drives import decoder_for, in_uploads
from roadcall.settings import Settings
from rules.backtest import DAY_NS, Alerts, Figures, Mileage, Run, figures, listed
from rules.bundle import Bundle
from rules.pack_tests import VIN
from store import frame_block, masters, service_marks
from store.database import Pool, transaction

HOUR_NS = 3600 * NS
#: Alerts that are listed on either side of a comparison; all are counted.
LISTED = 100
FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


@dataclass(frozen=True, slots=True)
class Drive:
    """One vehicle's frames in order of time, in uploads."""

    vehicle: Vehicle
    decoder: Decoder
    uploads: Iterable[FrameBatch]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(backtest)


def backtest(
    rules: Annotated[
        str, typer.Option(help="Pack file, folder, stored bundle, active, shadow or installed.")
    ] = "installed",
    against: Annotated[str, typer.Option(help="Rules to compare with.")] = "",
    log: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="A log; repeat, in order of time."),
    ] = None,
    profile: Annotated[str, typer.Option(help="How the logs are decoded.")] = "",
    vin: Annotated[str, typer.Option(help="Whose logs they are.")] = VIN,
    vins: Annotated[str, typer.Option(help="Stored history of these (a,b,c), or all.")] = "",
    first: Annotated[datetime | None, typer.Option("--from", formats=FORMATS, help="UTC.")] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=FORMATS, help="UTC, not included.")
    ] = None,
    budget: Annotated[
        float | None,
        typer.Option(min=0, help="Alerts of severity 3 and worse per 1 000 vehicle-days."),
    ] = None,
) -> None:
    """Run rules over logs or stored history, through the decoder and the lane of the worker.

    A pack file or folder stands for itself, without the built-in packs. Says
    nothing to anybody. The last line is JSON. Exit code 1: over the budget.

      roadcall backtest --rules shadow --against active --vins all --from 2025-03-01

      roadcall backtest --rules my-rules.yaml --log drive.blf --profile demo_car --budget 2
    """
    if bool(log) == bool(vins) or bool(log) != bool(profile):
        raise typer.BadParameter("give --log and --profile, or else --vins")
    settings = open_settings()
    names = [rules, *([against] if against else [])]
    bundles = [bundle_named(name, settings) for name in names]
    with ExitStack() as stack:
        helped: dict[str, list[int]] = {}
        if log:
            drives, total = _of_logs(log, profile, vin, settings), len(log)
        else:
            pool = stack.enter_context(wiring.database(settings)).pool
            vehicles = _vehicles(pool, vins)
            span = (ns_of(_aware(first)) if first else 0, ns_of(_aware(last)) if last else None)
            drives, total = _of_store(pool, settings, vehicles, span), len(vehicles)
            with transaction(pool) as conn:
                marks = service_marks.helped(conn, vehicles)
            helped = {v: [ns_of(moment) for moment in row] for v, row in marks.items()}
        mileage, found = play(bundles, drives, total, round(settings.lateness_s * NS))
    told = [figures(alerts, len(mileage.days), helped) for alerts in found]
    _report(names, told, mileage, found)
    if budget is not None and told[0].serious_per_1000_vehicle_days > budget:
        raise typer.Exit(1)


def play(
    bundles: list[Bundle], drives: Iterable[Drive], total: int, lateness_ns: int
) -> tuple[Mileage, list[Alerts]]:
    """Every drive through every bundle, decoded once."""
    mileage, found = Mileage(), [Alerts() for _ in bundles]
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("backtest", total=total)
        for drive in drives:
            runs = [Run(bundle, drive.vehicle, lateness_ns) for bundle in bundles]
            tails = Tails()
            for part in drive.uploads:
                decoded = decode_upload(drive.decoder, part, tails)
                tails = decoded.tails
                for run in runs:
                    run.take(decoded.signals, decoded.reports, part.received_ns)
                mileage.frames += len(part)
                mileage.days.add((drive.vehicle.vin, part.received_ns // DAY_NS))
                bar.update(task, description=f"{mileage.frames:,} frames")
            for alerts, run in zip(found, runs, strict=True):
                alerts.update(run.end())
            bar.advance(task)
    return mileage, found


def _of_logs(logs: list[Path], profile: str, vin: str, settings: Settings) -> Iterator[Drive]:
    """All logs as one drive of one vehicle."""
    loaded = load_profile(profile, settings.profile_path)
    vehicle = Vehicle(vin=vin, profile=profile, powertrain=loaded.powertrain)
    batches = (batch for path in logs for batch in read_log(path))
    uploads = (part for batch in batches for part in in_uploads(batch, 0))
    yield Drive(vehicle, decoder_for(loaded), uploads)


def _of_store(
    pool: Pool, settings: Settings, vins: list[str], span: tuple[int, int | None]
) -> Iterator[Drive]:
    """Each vehicle's stored frames, hour by hour."""
    decoder_of = wiring.decoder_source(settings)
    for vin in vins:
        with transaction(pool) as conn:
            stored = masters.vehicles(conn, [vin])[vin]
            heard = frame_block.span(conn, stored.vehicle_id)
        if heard is None:
            continue
        start_ns = max(span[0], heard[0])
        end_ns = heard[1] + 1 if span[1] is None else min(span[1], heard[1] + 1)
        uploads = _hours(pool, stored.vehicle_id, start_ns, end_ns)
        yield Drive(stored.vehicle, decoder_of(stored.vehicle), uploads)


def _hours(pool: Pool, vehicle_id: int, start_ns: int, end_ns: int) -> Iterator[FrameBatch]:
    for hour_ns in range(start_ns, end_ns, HOUR_NS):
        until_ns = min(hour_ns + HOUR_NS, end_ns)
        with transaction(pool) as conn:
            found = frame_block.read_frames(conn, vehicle_id, hour_ns, until_ns, MAX_ARCHIVE_FRAMES)
        if found:
            yield from in_uploads(replace(concatenate(found), vin=found[0].vin), 0)


def _vehicles(pool: Pool, vins: str) -> list[str]:
    """The wanted vehicles in order of VIN."""
    with transaction(pool) as conn:
        if vins != "all":
            wanted = sorted(set(vins.split(",")))
            known = masters.vehicles(conn, wanted)
            missing = [v for v in wanted if v not in known]
            if missing:
                raise typer.BadParameter(f"{len(missing)} of the vehicles are not registered")
            return wanted
        found: list[str] = []
        while page := masters.vehicle_page(conn, after=found[-1] if found else "", limit=1000):
            found += [v.vin for v in page]
    return found


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _report(names: list[str], told: list[Figures], mileage: Mileage, found: list[Alerts]) -> None:
    table = Table("", *names, title=f"{mileage.vehicles} vehicles, {len(mileage.days)} days")
    rows: list[tuple[str, Callable[[Figures], object]]] = [
        ("alerts", lambda f: f.alerts),
        ("per 1 000 vehicle-days", lambda f: f.per_1000_vehicle_days),
        ("severity 3 and worse per 1 000 vehicle-days", lambda f: f.serious_per_1000_vehicle_days),
        ("flaps", lambda f: f.flaps),
        ("median duration, s", lambda f: f.median_duration_s),
        ("median lead, h", lambda f: f.median_lead_h),
        ("vehicles that a crew would go to", lambda f: len(f.dispatched)),
    ]
    for title, value in rows:
        table.add_row(title, *(str(value(f)) for f in told))
    Console().print(table)
    line: dict[str, Any] = {  # one line for programs
        "vehicles": mileage.vehicles,
        "vehicle_days": len(mileage.days),
        "frames": mileage.frames,
        "rules": asdict(told[0]),
    }
    if len(found) > 1:
        new, old = found
        added = listed(t for i, t in new.items() if i not in old)
        removed = listed(t for i, t in old.items() if i not in new)
        for mark, side in (("+", added), ("-", removed)):
            for row in side[:LISTED]:
                fired = utc(row["fired_ns"])
                typer.echo(f"{mark} {fired:%Y-%m-%d %H:%M:%SZ} {row['vin']} {row['rule']}")
        line |= {"against": asdict(told[1]), "added": len(added), "removed": len(removed)}
        line |= {"added_alerts": added[:LISTED], "removed_alerts": removed[:LISTED]}
    typer.echo(orjson.dumps(line).decode())

"""`roadcall masters`: stations, persons, units, vehicles and the rest from files; gaps in duty."""

from __future__ import annotations

import getpass
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from console.contracts import CONTRACTS, schema_of
from dispatch.terms import load_terms
from model.clock import SystemClock, utc
from model.errors import RoadcallError
from model.master_files import Row, RowFault, count_rows, read_rows
from model.record import Record
from roadcall import wiring
from roadcall.cli_run import open_settings
from roadcall.vehicle_check import vehicle_fault
from store import duty
from store.database import transaction
from store.master_import import Change, Importer, Outcome, record_import
from store.master_kinds import KINDS

#: Rows that are compared with the database at once.
BUNCH = 1000
#: Faults and changes shown at most; the count says how many there are.
SHOWN = 50

masters = typer.Typer(no_args_is_help=True, help="Master data: import, schemas, gaps in duty.")


def _one_of(known: Iterable[str]) -> Callable[[str | None], str | None]:
    """Refuses a word that is not among the known ones."""

    def check(word: str | None) -> str | None:
        if word is not None and word not in known:
            raise typer.BadParameter(f"not one of {', '.join(known)}")
        return word

    return check


KindName = Annotated[
    str, typer.Argument(metavar="KIND", help=", ".join(KINDS), callback=_one_of(KINDS))
]
ContractName = Annotated[
    str | None,
    typer.Argument(metavar="[CONTRACT]", help=", ".join(CONTRACTS), callback=_one_of(CONTRACTS)),
]


class ImportRefusedError(RoadcallError):
    """A file with faults; nothing of it is stored."""

    def __init__(self, *, file: str, faults: int) -> None:
        super().__init__(f"{file}: nothing imported, faults: {faults} (see --skip-faulty)")
        self.file, self.faults = file, faults


def register(app: typer.Typer) -> None:
    """Add the command group."""
    app.add_typer(masters, name="masters")


@masters.command("import")
def import_file(
    kind: KindName,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    dry_run: Annotated[bool, typer.Option(help="Say what would change, store nothing.")] = False,
    skip_faulty: Annotated[bool, typer.Option(help="Store the good rows all the same.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show every fault and change.")] = False,
) -> None:
    """Create or change records from CSV, a JSON array, or JSON lines. All of it, or nothing.

    CSV begins with field names; `roadcall masters schema` has them. Lists are written tow;jump,
    opening hours Mo-Fr 08:00-18:00; Sa 09:00-17:00. The same file again changes nothing.

      roadcall masters import station stations.csv --dry-run
    """
    settings = open_settings()
    found = Tally(file.name, None if everything else SHOWN, show_changes=dry_run)
    with wiring.database(settings) as db, transaction(db.pool) as conn:
        now = utc(SystemClock().now_ns())
        importer = Importer(conn, KINDS[kind], now, vehicle_fault(settings))
        _read(file, importer, found)
        if found.faults and not skip_faulty and not dry_run:
            raise ImportRefusedError(file=file.name, faults=found.faults)
        if dry_run:
            conn.rollback()
        else:
            record_import(
                conn, kind, found.outcomes, faults=found.faults, sha256=digest(file),
                actor=cli_user(), file=file.name,
            )  # fmt: skip
    typer.echo(found.summary(kind, dry_run=dry_run))
    if found.faults:
        raise typer.Exit(1)


def cli_user() -> str:
    """Who runs the command, for the audit trail; `cli` where the system has no name for them."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli"


def digest(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@dataclass(slots=True)
class Tally:
    """Counts what comes and shows the first of it."""

    name: str
    limit: int | None
    show_changes: bool
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    faults: int = 0
    shown: int = 0

    def take(self, changes: list[Change], faults: list[RowFault]) -> None:
        """Count and show one bunch."""
        for fault in faults:
            self.faults += 1
            if self.limit is None or self.faults <= self.limit:
                typer.echo(f"{self.name}:{fault}", err=True)
        for change in changes:
            self.outcomes[change.outcome] += 1
            if self.show_changes and change.outcome is not Outcome.UNCHANGED:
                self._show(change)

    def _show(self, change: Change) -> None:
        self.shown += 1
        if self.limit is not None and self.shown > self.limit:
            return
        typer.echo(f"{self.name}:{change.line}: {change.outcome} {' '.join(change.key)}")
        for name, old, new in change.fields:
            typer.echo(f"    {name}: {_json(old)} -> {_json(new)}")

    def summary(self, kind: str, *, dry_run: bool) -> str:
        """One line for the end."""
        counts = ", ".join(f"{self.outcomes[o]} {o}" for o in Outcome)
        would = "would be: " if dry_run else ""
        return f"{kind}: {would}{counts}, {self.faults} faults"


def _read(file: Path, importer: Importer, found: Tally) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(file.name, total=count_rows(file))
        for bunch in _bunches(read_rows(file, importer.kind.model)):
            found.take(*importer.take(bunch))
            bar.advance(task, len(bunch))


def _bunches(rows: Iterator[Row[Record]]) -> Iterator[list[Row[Record]]]:
    take: Callable[[], list[Row[Record]]] = lambda: list(islice(rows, BUNCH))  # noqa: E731
    return iter(take, [])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@masters.command()
def schema(
    name: ContractName = None,
    write: Annotated[Path | None, typer.Option(help="Write all of them into this folder.")] = None,
) -> None:
    """The JSON schema of an inbound record, or the names of all."""
    if write is not None:
        for each in CONTRACTS:
            text = json.dumps(schema_of(each), ensure_ascii=False, indent=2)
            (write / f"{each}.json").write_text(text + "\n", "utf-8")
        typer.echo(f"{len(CONTRACTS)} schemas written to {write}")
    elif name is not None:
        typer.echo(json.dumps(schema_of(name), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n".join(CONTRACTS))


@masters.command()
def gaps(
    hours: Annotated[float, typer.Option(min=0, max=24 * 31, help="How far to look.")] = 24,
    days: Annotated[int, typer.Option(min=0, max=3660, help="Certificates that end within.")] = 30,
    certificate: Annotated[
        list[str] | None, typer.Option(help="Only these kinds count; repeat. Default: any.")
    ] = None,
    station: Annotated[str | None, typer.Option(help="Only this station.")] = None,
) -> None:
    """Open hours without certified people, certificates that end soon, crews without proof.

    无持证人员在岗的营业时段、即将到期的证书，以及无法证明持证的救援车组。
    """
    now = utc(SystemClock().now_ns())
    kinds = certificate or []
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        missing = duty.gaps(conn, now, now + timedelta(hours=hours), kinds, station)
        ending = duty.ending_certificates(conn, now, days, kinds, station)
        unproven = duty.unproven_units(conn, now, *load_terms().trained(), station)
    table = Table("站点 station", "从 from (UTC)", "至 to (UTC)", title="无人在岗 nobody on duty")
    for gap in missing:
        table.add_row(gap.station_id, f"{gap.from_at:%m-%d %H:%M}", f"{gap.to_at:%m-%d %H:%M}")
    Console().print(table)
    columns = ("人员 person", "站点 station", "证书 kind", "到期 last day")
    table = Table(*columns, title="证书到期 ending")
    for row in ending:
        table.add_row(row.person_id, row.station_id or "", row.kind, f"{row.valid_to}")
    Console().print(table)
    columns = ("救援车 unit", "站点 station", "缺少 missing", "车组 crew")
    table = Table(*columns, title="无法证明持证，不派往 not sent for want of proof")
    for unit in unproven:
        named = "" if unit.crew_named else "未登记 not named"
        table.add_row(unit.unit_id, unit.station_id, ", ".join(unit.missing), named)
    Console().print(table)
    typer.echo(f"{len(missing)} gaps, {len(ending)} certificates, {len(unproven)} units")

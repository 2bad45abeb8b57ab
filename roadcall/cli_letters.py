"""`roadcall dead-letter`: what could not be understood, and driving it again after a fix."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from model.log import BatchKey, LogRecord, StoredRecord
from roadcall import wiring
from roadcall.cli_run import open_settings
from roadcall.frame_log import open_log
from roadcall.settings import Settings
from store import dead_letters
from store.database import Pool, transaction
from store.dead_letters import StoredDeadLetter

letters = typer.Typer(no_args_is_help=True, help="Records that could not be understood.")
DeadLetterId = Annotated[int, typer.Argument(metavar="ID", help="As `list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    app.add_typer(letters, name="dead-letter")


@letters.command("list")
def list_letters(
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    everything: Annotated[bool, typer.Option("--all", help="Also those driven again.")] = False,
) -> None:
    """Newest first."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        rows = dead_letters.page(conn, limit=limit, pending=not everything)
    table = Table("id", "recorded", "origin", "bytes", "gateway", "batch", "reason")
    for row in rows:
        table.add_row(
            str(row.dead_letter_id),
            f"{row.recorded_at:%Y-%m-%d %H:%M:%S}",
            _origin(row),
            str(len(row.value)),
            row.headers.get("gateway", ""),
            row.headers.get("batch", ""),
            row.reason,
        )
    Console().print(table)


@letters.command()
def show(
    letter: DeadLetterId,
    output: Annotated[Path | None, typer.Option("-o", help="Write the bytes here.")] = None,
) -> None:
    """One dead letter: reason, origin, headers, bytes."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        row = dead_letters.show(conn, letter)
    typer.echo(f"reason   {row.reason}\norigin   {_origin(row)}\nvehicle  {row.vin}")
    for name, text in sorted(row.headers.items()):
        typer.echo(f"header   {name} = {text}")
    if output is not None:
        output.write_bytes(row.value)
        typer.echo(f"bytes    {len(row.value)} written to {output}")
    else:
        typer.echo(f"bytes    {len(row.value)}\n{row.value.hex(' ')}")


@letters.command()
def redrive(
    chosen: Annotated[list[int] | None, typer.Argument(metavar="[ID]...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
) -> None:
    """Append them to the log again; what still cannot be understood comes back as a new letter."""
    if not chosen and not everything:
        raise typer.BadParameter("name letters, or --all")
    settings = open_settings()
    with wiring.database(settings) as db:
        with transaction(db.pool) as conn:
            rows = (
                dead_letters.page(conn, limit=1000, pending=True)
                if everything
                else [dead_letters.show(conn, i) for i in chosen or ()]
            )
        asyncio.run(_append(settings, db.pool, rows))
    typer.echo(f"{len(rows)} driven again")


async def _append(settings: Settings, pool: Pool, rows: list[StoredDeadLetter]) -> None:
    async with open_log(settings, pool) as log:
        for row in rows:
            await log.append([_record(row.origin)])
            await asyncio.to_thread(_mark, pool, row.dead_letter_id)


def _mark(pool: Pool, dead_letter_id: int) -> None:
    with transaction(pool) as conn:
        dead_letters.mark_redriven(conn, dead_letter_id)


def _record(origin: StoredRecord) -> LogRecord:
    """The record as it was; numbers a stranger broke become 0, their text is in the letter."""
    headers = origin.headers
    key = BatchKey(
        headers.get("gateway", ""), origin.vin, headers.get("batch", ""), _int(headers, "part")
    )
    return LogRecord(
        key=key,
        digest=headers.get("digest", ""),
        received_ns=_int(headers, "received_ns"),
        protocol=headers.get("protocol", "can"),
        value=origin.value,
    )


def _int(headers: dict[str, str], name: str) -> int:
    text = headers.get(name, "0")
    return int(text) if text.isascii() and text.isdigit() else 0


def _origin(row: StoredDeadLetter) -> str:
    return f"{row.topic}/{row.partition}@{row.position}"

"""`roadcall episodes VIN`: the faults of one vehicle, newest first."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from console.episode_reads import bodies
from model.clock import SystemClock
from roadcall import wiring
from roadcall.cli_run import open_settings
from store import episode_pages, masters
from store.database import transaction


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("episodes")(list_episodes)


def list_episodes(
    vin: str,
    open_only: Annotated[bool, typer.Option("--open", help="Only open ones.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    language: Annotated[str, typer.Option(help="zh or en.")] = "en",
) -> None:
    """Fault episodes of a vehicle: codes and what rules found, newest first."""
    settings = open_settings()
    texts = wiring.rule_texts(wiring.bundle_of(settings), *settings.cohort_path)
    with wiring.database(settings) as db, transaction(db.pool) as conn:
        masters.vehicle(conn, vin)
        rows = episode_pages.of_vehicle(conn, vin, limit=limit, open_only=open_only)
        found = bodies(conn, rows, texts, SystemClock().now_ns())
    table = Table("code", "ecu", "state", "sev", "times", "back", "from (UTC)", "last seen", "what")
    for e in found:
        table.add_row(
            f"{e.code} {e.instance}".strip(),
            "" if e.ecu is None else f"{e.ecu:X}",
            e.state if e.verdict is None else f"{e.state} ({e.verdict})",
            f"{int(e.severity)}",
            f"{e.count}",
            f"{e.repeat or ''}",
            f"{e.started_at:%Y-%m-%d %H:%M:%S}",
            f"{e.last_seen_at:%Y-%m-%d %H:%M:%S}",
            e.title.zh if language == "zh" else e.title.en,
        )
    Console().print(table)

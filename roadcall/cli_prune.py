"""`roadcall prune`: old frames, values and code facts are forgotten when somebody says so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console

from model.clock import NS, SystemClock, ns_of, utc
from model.episodes import EpisodeParameters
from roadcall import wiring
from roadcall.cli_run import open_settings
from store import code_facts, retention
from store.database import Connection, transaction

console = Console(stderr=True)


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(prune)


def prune(
    older_than: Annotated[int, typer.Option(min=1, help="Days of event time to keep.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget frames, values and code facts older than so many days.

    What alerts were raised from is set aside first; alerts, episodes, cases and orders stay. Code
    facts are kept as long as episodes look back.

      roadcall prune --older-than 90
    """
    now_ns = SystemClock().now_ns()
    before = utc(now_ns) - timedelta(days=older_than)
    if not yes:
        typer.confirm(f"Forget everything from before {before:%Y-%m-%d %H:%M} UTC?", abort=True)
    facts_ns = min(ns_of(before), now_ns - EpisodeParameters().window_s * NS)
    kinds: dict[str, Callable[[Connection], int]] = {
        "frame_block": lambda conn: retention.prune(conn, "frame_block", before),
        "signal_segment": lambda conn: retention.prune(conn, "signal_segment", before),
        "code_facts": lambda conn: code_facts.prune(conn, facts_ns),
    }
    with wiring.database(open_settings()) as db, console.status("Forgetting …") as status:
        for name, forget in kinds.items():
            gone, taken = 0, 1
            while taken:
                with transaction(db.pool) as conn:
                    taken = forget(conn)
                gone += taken
                status.update(f"Forgetting … {gone:,} of {name}")
            typer.echo(f"{name}: {gone}")

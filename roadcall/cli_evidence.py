"""`roadcall evidence`: what stands behind an alert, as JSON or as a log to replay."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Annotated

import typer

from roadcall import wiring
from roadcall.cli_run import open_settings
from roadcall.evidence import EvidenceReader, memory_path
from roadcall.rule_library import Library


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(evidence)


def evidence(
    alert: uuid.UUID,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A .blf, .asc or .log file; none: JSON."),
    ] = None,
) -> None:
    """The frames around an alert as a log, or everything about it as JSON.

    Replayed into an empty installation the log raises the same alert. Where its rule looks back
    further than the log, over trips or hours, FILE.memory.json is written too: replay --memory.

      roadcall evidence 26513932-0207-5235-98d4-083147494351 -o fault.blf
    """
    settings = open_settings()
    with wiring.database(settings) as db:
        reader = EvidenceReader(db.pool, Library(settings), wiring.decoder_source(settings))
        if output is None:
            typer.echo(reader.of(alert).model_dump_json(indent=2))
        else:
            typer.echo(f"{output}: {reader.write(alert, output)} frames")
            memory = memory_path(output)
            if memory.exists():
                typer.echo(f"{memory}: for roadcall replay {output} --memory {memory}")

"""`roadcall events …`: what other systems hear of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dispatch import event_document

events = typer.Typer(no_args_is_help=True, help="Events for other systems (CloudEvents).")


def register(app: typer.Typer) -> None:
    """Add the command group."""
    app.add_typer(events, name="events")


@events.callback()
def _group() -> None:
    """Events for other systems (CloudEvents)."""


@events.command("asyncapi")
def asyncapi(
    write: Annotated[Path | None, typer.Option(help="A file instead of the screen.")] = None,
) -> None:
    """The AsyncAPI document of all events."""
    if write is None:
        typer.echo(event_document.text(), nl=False)
    else:
        write.write_text(event_document.text(), "utf-8")

"""What a command says about a log that is not in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from ingest.columns import Faults, LogFaultError
from ingest.log_open import STDIN, UnknownLogError
from model.errors import DecodeError

SHOWN_FAULTS = 10


def existing(paths: list[Path]) -> list[Path]:
    """Refuses names of no file; a pipe will do."""
    for path in paths:
        if path != STDIN and (not path.exists() or path.is_dir()):
            raise typer.BadParameter(f"'{path}' is no file")
    return paths


@contextmanager
def reading(path: Path, *, strict: bool) -> Iterator[Faults]:
    """Collects the broken lines of one log and tells them on standard error.

    A log that cannot be read, or is broken where `strict`, ends the command with code 1.
    """
    faults = Faults(strict=strict)
    try:
        yield faults
    except LogFaultError as error:
        typer.echo(f"roadcall: {path.name}:{error.fault.line}: {error.fault.reason}", err=True)
        raise typer.Exit(1) from None
    except DecodeError as error:
        where = "" if isinstance(error, UnknownLogError) else f"{path.name}: "
        typer.echo(f"roadcall: {where}{error}", err=True)
        raise typer.Exit(1) from None
    for fault in faults.first[:SHOWN_FAULTS]:
        typer.echo(f"{path.name}:{fault.line}: {fault.reason}", err=True)
    if faults.total:
        typer.echo(f"{path.name}: {faults.total} broken lines were passed over", err=True)

"""`roadcall decode`: log files to samples, as a stream. Needs no database."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO, Protocol

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
)

from dbc.loader import load_messages
from dbc.profile import DbcFile, Profile, ProfileError, load_profile
from decoders.plan import compile_plan
from ingest.log_files import read_log
from ingest.log_open import STDIN
from roadcall.cli_run import open_settings
from roadcall.log_faults import existing, reading
from roadcall.log_output import open_samples
from roadcall.log_samples import Block, LogDecoder
from roadcall.log_statistics import Statistics, write_statistics

#: Frames decoded together: enough to be fast, little enough to be a few megabytes.
BATCH_FRAMES = 10_000


class Format(StrEnum):
    """How samples are written."""

    CSV = "csv"
    JSONL = "jsonl"
    TABLE = "table"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(decode)


def decode(
    logs: Annotated[
        list[Path],
        typer.Argument(metavar="LOG...", callback=existing, help="Log files; - is stdin."),
    ],
    dbc: Annotated[
        list[Path] | None,
        typer.Option("--dbc", exists=True, dir_okay=False, help="A DBC file; repeat for more."),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="A profile: signals get the catalogue's units.")
    ] = "",
    form: Annotated[Format, typer.Option("--format", "-f", help="How to write.")] = Format.CSV,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A file instead of standard output.")
    ] = None,
    signal: Annotated[
        list[str] | None,
        typer.Option(help="Only signals this names (*, ?), as Signal or Message.Signal; repeat."),
    ] = None,
    stats: Annotated[
        bool, typer.Option("--stats", help="Numbers instead of samples; with jsonl for programs.")
    ] = False,
    strict: Annotated[
        bool, typer.Option(help="End at the first broken line, with code 1.")
    ] = False,
    j1939: Annotated[
        bool, typer.Option(help="Read --dbc as J1939 even where the file does not say so.")
    ] = False,
) -> None:
    """Decode log files: candump, asc, blf, trc, csv, mf4, each also as gz or zst.

    One row a sample: observed_ns, bus, can_id, message, signal, value, unit,
    quality; in the order of time within every 10 000 frames of a log.
    Broken lines are passed over and counted on standard error.
    Exit codes: 0 decoded, 1 not decoded (or a broken line with --strict),
    2 wrong use.

    Examples:

      roadcall decode drive.blf --dbc car.dbc > drive.csv

      candump -L can0 | roadcall decode - --profile demo_car --signal '*speed*'

      roadcall decode a.asc b.asc --dbc car.dbc --format jsonl -o both.jsonl

      roadcall decode truck.mf4 --dbc truck.dbc --j1939 --stats
    """
    if bool(dbc) == bool(profile):
        raise typer.BadParameter("give --dbc FILE or --profile NAME, and not both")
    if form is Format.PARQUET and output is None:
        raise typer.BadParameter("--format parquet needs -o FILE")
    if stats and form is Format.PARQUET:
        raise typer.BadParameter("--stats is written as a table or as jsonl")
    decoder = _open_decoder(dbc or [], profile, tuple(signal or ()), j1939=j1939)
    try:
        _write(logs, decoder, form, output, stats=stats, strict=strict)
    except BrokenPipeError:
        # Whoever read us has enough; what Python flushes at its end must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write(
    logs: list[Path],
    decoder: LogDecoder,
    form: Format,
    output: Path | None,
    *,
    stats: bool,
    strict: bool,
) -> None:
    """Samples, or numbers about them, to where they are wanted."""
    with ExitStack() as stack:
        stream = stack.enter_context(_target(output, form))
        if stats and not isinstance(stream, Path):
            statistics = Statistics(decoder.plan.messages, decoder.labels)
            _run(logs, decoder, statistics, strict=strict)
            write_statistics(statistics, stream, as_json=form is Format.JSONL)
        else:
            writer = open_samples(form, stream, decoder.labels)
            stack.callback(writer.close)
            _run(logs, decoder, writer, strict=strict)
        if not isinstance(stream, Path):
            stream.flush()


@contextmanager
def _target(output: Path | None, form: Format) -> Iterator[BinaryIO | Path]:
    """Where the rows go; Parquet opens its file itself."""
    if output is None:
        yield sys.stdout.buffer
    elif form is Format.PARQUET:
        yield output
    else:
        with output.open("wb") as stream:
            yield stream


def _open_decoder(
    dbc: list[Path], profile: str, globs: tuple[str, ...], *, j1939: bool
) -> LogDecoder:
    try:
        if profile:
            chosen = load_profile(profile, open_settings().profile_path)
        else:
            chosen = adhoc_profile(dbc, j1939=j1939)
        return LogDecoder(chosen, compile_plan(chosen), globs)
    except ProfileError as error:
        for fault in error.faults:
            typer.echo(f"roadcall: {fault}", err=True)
        raise typer.Exit(2) from None


def adhoc_profile(dbc: list[Path], *, j1939: bool = False) -> Profile:
    """DBC files as they are: no signal map, names and units of the files.

    Raises ProfileError for a file that cannot be read.
    """
    files = []
    for path in dbc:
        truck = j1939 or any(message.protocol == "j1939" for message in load_messages(path))
        files.append(DbcFile(path, j1939=truck))
    return Profile("adhoc", "combustion", tuple(files))


class _Sink(Protocol):
    def write(self, block: Block) -> None: ...


def _run(logs: list[Path], decoder: LogDecoder, sink: _Sink, *, strict: bool) -> None:
    """All logs into the sink, with a bar where a person is watching."""
    console = Console(stderr=True)
    sizes = [None if path == STDIN else path.stat().st_size for path in logs]
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    watched = console.is_terminal
    with Progress(*columns, DownloadColumn(), console=console, disable=not watched) as bar:
        for path, size in zip(logs, sizes, strict=True):
            task = bar.add_task(path.name, total=size)
            with reading(path, strict=strict) as faults:
                batches = read_log(
                    path, batch_frames=BATCH_FRAMES, faults=faults, seen=_shower(bar, task)
                )
                for batch in batches:
                    sink.write(decoder.decode(batch))
            bar.update(task, completed=size)


def _shower(bar: Progress, task: TaskID) -> Callable[[int], None]:
    """Moves a bar to the bytes read."""
    return lambda done: bar.update(task, completed=done)

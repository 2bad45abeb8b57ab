"""`roadcall dbc`: look at DBC files before they are trusted, and start a profile for them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dbc.check import FileCheck, check_file
from dbc.profile import profile_names
from dbc.scaffold import profile_text
from model.errors import RoadcallError

#: Findings of one kind that are shown without --all.
_SHOWN = 10
Files = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, metavar="FILE...")]


class ProfileExistsError(RoadcallError):
    """A new profile would overwrite one."""


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(no_args_is_help=True, help="DBC files and vehicle profiles.")
    group.command()(check)
    group.command("new-profile")(new_profile)
    app.add_typer(group, name="dbc")


def check(
    files: Files,
    everything: Annotated[bool, typer.Option("--all", help="Show every finding.")] = False,
) -> None:
    """Say what is broken, mended, overlapping or without a catalogue name; 1 if any is refused.

    \b
    roadcall dbc check my_car.dbc
    roadcall dbc check --all *.dbc *.kcd
    """
    checks = [check_file(path) for path in files]
    for one in checks:
        _show(one, everything=everything)
    raise typer.Exit(int(any(one.faults for one in checks)))


def _show(found: FileCheck, *, everything: bool) -> None:
    if found.faults:
        _list("refused", found.faults, everything=everything)
        return
    typer.echo(
        f"{found.path}: {found.messages} messages, {found.signals} signals, "
        f"{len(found.repairs)} repairs, {len(found.overlaps)} overlaps, "
        f"{len(found.beyond)} past the end, {len(found.unmapped)} without a catalogue name"
    )
    mended = [f"{found.path}:{r.line}: {r.text}" for r in found.repairs]
    _list("repaired", mended, everything=everything)
    _list("overlap", found.overlaps, everything=everything)
    _list("past the end", found.beyond, everything=everything)
    if everything:
        _list("unmapped", found.unmapped, everything=True)


def _list(what: str, rows: list[str] | tuple[str, ...], *, everything: bool) -> None:
    shown = rows if everything else rows[:_SHOWN]
    for row in shown:
        typer.echo(f"  {what}: {row}")
    if len(rows) > len(shown):
        typer.echo(f"  {what}: {len(rows) - len(shown)} more, see --all")


def new_profile(
    name: Annotated[str, typer.Argument(help="Small letters, digits, _ . and -")],
    files: Files,
    folder: Annotated[
        Path, typer.Option("--folder", "-o", file_okay=False, help="Where profiles are kept.")
    ] = Path(),
    j1939: Annotated[bool, typer.Option(help="Match 29-bit messages by PGN.")] = False,
) -> None:
    """Write NAME.toml with a line for every signal of the files, and copy them beside it.

    \b
    roadcall dbc new-profile my_car my_car.dbc -o profiles
    """
    target = folder / f"{name}.toml"
    if target.exists() or name in profile_names():
        raise ProfileExistsError(f"profile {name}: there is one already")
    text = profile_text(name, files, j1939=j1939)
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        beside = folder / path.name
        if not beside.exists():
            beside.write_bytes(path.read_bytes())
    target.write_text(text, "utf-8")
    typer.echo(f"{target}: fill in the names, then `roadcall dbc check {folder / files[0].name}`")

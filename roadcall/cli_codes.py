"""`roadcall codes`: what a trouble code means, and lists of a maker's or an operator's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from model.code_book import OWN, CodeList, CodeText, explain
from model.code_csv import read_codes
from model.code_names import dtc_of
from model.code_texts import code_book
from model.codes import CodeProtocol, Dtc
from model.errors import RoadcallError
from roadcall import wiring
from roadcall.cli_codes_log import scan
from roadcall.cli_run import open_settings
from roadcall.settings import Settings
from store import code_lists
from store.database import Connection, transaction
from store.embedded import EmbeddedPostgres

#: Faults shown at most; the count says how many there are.
SHOWN_FAULTS = 50


class LogsScanned(TyperGroup):
    """`roadcall codes LOG...` is `roadcall codes scan LOG...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # Any: typer's own click
        if args and args[0] not in self.commands and (args[0] == "-" or Path(args[0]).exists()):
            args = ["scan", *args]
        return super().parse_args(ctx, args)


codes = typer.Typer(
    cls=LogsScanned,
    no_args_is_help=True,
    help="Trouble codes: in logs (codes LOG...), what they mean, lists of your own.",
)
codes.command()(scan)
Brand = Annotated[str, typer.Option(help="Use lists for this brand too.")]
Model = Annotated[str, typer.Option(help="Use lists for this model of the brand too.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


class CodeListRefusedError(RoadcallError):
    """A file with faults; nothing of it is stored."""

    def __init__(self, *, file: Path, faults: int) -> None:
        super().__init__(f"{file.name}: nothing imported, faults: {faults}")
        self.file, self.faults = file, faults


def register(app: typer.Typer) -> None:
    """Add the command group."""
    app.add_typer(codes, name="codes")


@codes.command()
def show(
    code: Annotated[list[str], typer.Argument(help="P0217, U0100-87, 110/0 or SPN 110 FMI 0.")],
    brand: Brand = "",
    model: Model = "",
    as_json: Json = False,
) -> None:
    """Explain one code.

    Examples: roadcall codes show P0217, roadcall codes show SPN 110 FMI 0 --brand Geely
    """
    dtc = dtc_of(" ".join(code))
    with _lists_connection(open_settings()) as conn:
        lists = code_lists.naming(conn, [dtc]) if conn else []
    text = explain(dtc, lists, brand, model)
    if as_json:
        typer.echo(orjson.dumps(_record(text)))
        return
    Console().print(_card(text))


@codes.command("list")
def list_codes(
    search: Annotated[str, typer.Option(help="Part of the code or of a text.")] = "",
    system: Annotated[str, typer.Option(help="One system, e.g. cooling or brakes.")] = "",
    brand: Brand = "",
    model: Model = "",
    as_json: Json = False,
) -> None:
    """Every code with a text; an SPN alone stands for all its FMIs.

    Examples: roadcall codes list --search 失火, roadcall codes list --system hybrid --json
    """
    book = code_book()
    if system and system not in book.systems:
        raise typer.BadParameter(f"no system {system}: {', '.join(book.systems)}")
    with _lists_connection(open_settings()) as conn:
        lists = code_lists.everything(conn) if conn else []
    found = [
        text
        for text in _every(lists, brand, model)
        if (not system or text.system == system)
        and any(search.casefold() in t.casefold() for t in (text.code, text.zh, text.en))
    ]
    if as_json:
        typer.echo(orjson.dumps([_record(text) for text in found]))
        return
    table = Table("code", "system", "severity")
    for title in ("中文", "English", "source"):
        table.add_column(title, overflow="fold")
    for text in found:
        grade = book.severities[text.severity].en
        table.add_row(text.code, text.system, grade, *map(escape, (text.zh, text.en, text.source)))
    Console().print(table)
    typer.echo(f"{len(found)} codes")


@codes.command("import")
def import_codes(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    brand: Annotated[str, typer.Option(help="The list is for this brand only.")] = "",
    model: Annotated[str, typer.Option(help="... and for this model only.")] = "",
    list_name: Annotated[str, typer.Option("--list", help="Its name; else the file's.")] = "",
    dry_run: Annotated[bool, typer.Option(help="Check the file, store nothing.")] = False,
) -> None:
    """Import a CSV file: code,zh,en,system,severity,action. All of it, or nothing.

    A list of that name is replaced. Example: roadcall codes import geely.csv --brand Geely
    """
    if model and not brand:
        raise typer.BadParameter("--model needs --brand")
    read = read_codes(file.read_bytes())
    for fault in read.faults[:SHOWN_FAULTS]:
        typer.echo(f"{file.name}:{fault.line}: {fault.text}", err=True)
    if read.faults:
        raise CodeListRefusedError(file=file, faults=len(read.faults))
    imported = CodeList(name=list_name or file.stem, brand=brand, model=model, codes=read.codes)
    ours = len(read.codes.keys() & code_book().codes.keys())
    summary = f"{len(read.codes)} codes, {ours} of them instead of our own text"
    if dry_run:
        typer.echo(f"list {imported.name} would hold {summary}")
        return
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        is_new = code_lists.replace(conn, imported)
    typer.echo(f"list {imported.name}: {summary}{'' if is_new else ' (unchanged)'}")


@codes.command("lists")
def list_lists() -> None:
    """The imported lists."""
    table = Table("list", "brand", "model", "codes", "imported")
    with _lists_connection(open_settings()) as conn:
        for row in code_lists.names(conn) if conn else []:
            imported = f"{row.imported_at:%Y-%m-%d %H:%M}"
            names = map(escape, (row.list_name, row.brand, row.model))
            table.add_row(*names, str(row.rows), imported)
    Console().print(table)


@codes.command()
def remove(list_name: Annotated[str, typer.Argument(metavar="LIST")]) -> None:
    """Forget an imported list."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        code_lists.remove(conn, list_name)
    typer.echo(f"list {list_name} removed")


@contextmanager
def _lists_connection(settings: Settings) -> Iterator[Connection | None]:
    """The database with the lists; None where there is none yet: looking up makes no database."""
    if settings.dsn is None:
        embedded = EmbeddedPostgres(wiring.home_of(settings))
        if not (embedded.data / "PG_VERSION").exists():
            yield None
            return
    with wiring.database(settings) as db, transaction(db.pool) as conn:
        yield conn


def _every(lists: Sequence[CodeList], brand: str, model: str) -> Iterator[CodeText]:
    """One text a key, in the order of the codes; keys of lists for other vehicles are left out."""
    ours = code_book().codes
    for key in sorted(ours.keys() | {key for row in lists for key in row.codes}, key=_order):
        text = _of_key(key, lists, brand, model)
        if key in ours or text.source != OWN:
            yield text


def _of_key(key: str, lists: Sequence[CodeList], brand: str, model: str) -> CodeText:
    """An SPN alone is explained as a pair without FMI."""
    dtc = Dtc(CodeProtocol.J1939, 0, key) if key.isdecimal() else dtc_of(key)
    return explain(dtc, lists, brand, model)


def _order(key: str) -> tuple[str, int, str]:
    spn = key.partition("/")[0]
    return ("J", int(spn), key) if spn.isdecimal() else (key[0], 0, key)


def _card(text: CodeText) -> Table:
    """One code for a person at a terminal."""
    says = _record(text)
    table = Table(show_header=False, box=None)
    rows = {
        text.code: f"{text.zh}\n{text.en}",
        "系统 system": f"{says['system_zh']} {says['system_en']}",
        "级别 severity": f"{says['severity_zh']} {says['severity_en']}",
        "建议 advice": f"{says['action_zh']}\n{says['action_en']}",
        "来源 source": text.source if text.known else "没有这个代码的说明 no text for this code",
    }
    for title, value in rows.items():
        table.add_row(title, escape(str(value)))
    return table


def _record(text: CodeText) -> dict[str, object]:
    """As people and programs read it."""
    book = code_book()
    grade, action = book.severities[text.severity], book.actions[text.action]
    system = book.systems.get(text.system)
    return {
        "code": text.code,
        "zh": text.zh,
        "en": text.en,
        "system": text.system,
        "system_zh": system.zh if system else "",
        "system_en": system.en if system else "",
        "severity": int(text.severity),
        "severity_zh": grade.zh,
        "severity_en": grade.en,
        "action": text.action,
        "action_zh": action.zh,
        "action_en": action.en,
        "source": text.source,
        "known": text.known,
    }

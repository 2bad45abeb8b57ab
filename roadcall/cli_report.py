"""`roadcall report`: a station's day, key figures of a period, load of the workshops."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from console.bodies import Text
from console.kpis import key_figures, station_loads
from console.station_report import report
from model.clock import SystemClock, utc
from roadcall import wiring
from roadcall.cli_run import open_settings

reports = typer.Typer(no_args_is_help=True, help="Daily reports and key figures.")
Language = Annotated[Literal["zh", "en"], typer.Option(help="zh or en.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
Day = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Default: yesterday.")]
#: A figure without a value.
NOTHING = "–"


def register(app: typer.Typer) -> None:
    """Add the command group."""
    app.add_typer(reports, name="report")


@reports.command()
def station(
    station_id: Annotated[str, typer.Argument(metavar="ID")],
    day: Day = None,
    language: Language = "zh",
    as_json: Json = False,
) -> None:
    """One station's day: alerts, rescues, visits, due services, promises, load and duty.

    roadcall report station hz-1 --day 2025-03-01 --language en
    """
    with wiring.database(open_settings()) as db:
        now = utc(SystemClock().now_ns())
        found = report(db.pool, station_id, day.date() if day else None, now)
    if as_json:
        typer.echo(found.model_dump_json(indent=2))
        return
    table = Table(title=f"{_in(found.station, language)} · {found.day}", show_header=False)
    for section in found.sections:
        table.add_section()
        table.add_row(f"[bold]{_in(section.title, language)}[/]", "")
        for line in section.lines:
            table.add_row(_in(line.title, language), _value(line.value, line.unit))
    Console().print(table)


@reports.command()
def kpis(
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"])] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"])] = None,
    station_id: Annotated[str | None, typer.Option("--station", help="Only this one's.")] = None,
    language: Language = "zh",
) -> None:
    """Key figures of a period, both days included; the last 30 days by default."""
    with wiring.database(open_settings()) as db:
        end = last.date() if last else utc(SystemClock().now_ns()).date()
        start = first.date() if first else end - timedelta(days=29)
        found = key_figures(db.pool, start, end, station_id)
    zh = language == "zh"
    columns = ("指标", "数值", "目标", "分子 / 分母") if zh else ("figure", "value", "target", "of")
    table = Table(*columns, title=f"{start} … {end}")
    for row in found:
        mark = "" if row.reached is None else " ✓" if row.reached else " ✗"
        table.add_row(
            _in(row.title, language),
            _value(row.value, row.unit) + mark,
            _value(row.target, row.unit),
            f"{row.part:,.10g} / {row.whole:,.10g}",
        )
    Console().print(table)


@reports.command()
def load(language: Language = "zh") -> None:
    """Load of the workshops, with work predicted for 7 days; the fullest first."""
    with wiring.database(open_settings()) as db:
        found = station_loads(db.pool, utc(SystemClock().now_ns()))
    table = Table(
        *("站点", "工位", "客户", "在厂", "预约", "预计", "负荷", "等级")
        if language == "zh"
        else ("station", "bays", "customers", "in", "booked", "predicted", "load", "level")
    )
    for row in found:
        counts = (row.bays, row.customers, row.in_workshop, row.booked, row.predicted)
        table.add_row(row.station_id, *map(str, counts), _value(row.load, ""), row.level)
    Console().print(table)


def _in(text: Text, language: str) -> str:
    return text.zh if language == "zh" else text.en


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return NOTHING
    return f"{value:.2f}".rstrip("0").rstrip(".") + (f" {unit}" if unit else "")

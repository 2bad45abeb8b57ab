"""`roadcall demo`: twenty cars, three faults, and what becomes of them, in one terminal."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from dataclasses import asdict
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.live import Live

from model.clock import NS, SystemClock
from roadcall import wiring
from roadcall.cli_run import open_settings
from roadcall.demo_check import Summary, settled
from roadcall.demo_people import CALM, act
from roadcall.demo_stage import DemoError, Stage, stage
from roadcall.demo_table import table
from roadcall.settings import Settings
from simulators.fleet import Fleet, SeededFault
from simulators.gateway import Gateway
from simulators.pace import drive

VEHICLES, SEED, SPEED = 20, 1, 30.0
#: Half the frames a real bus would carry, so that a small machine keeps the pace.
FRAME_RATE = 0.5
SCENARIOS = ("overheating", "truck_red_lamp", "ev_thermal", "service_due")
#: Event time the one-shot demo drives: 24 minutes, 48 s at thirty times the clock.
ONCE_S = 1440
EX_TERM = 128 + signal.SIGTERM


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    once: Annotated[bool, typer.Option(help="End by itself with a summary.")] = False,
    transport: Annotated[
        str, typer.Option(help="embedded, or kafka (ROADCALL_KAFKA).")
    ] = "embedded",
) -> None:
    """Start everything, drive a fleet with seeded faults, show what happens."""
    settings = _choose(open_settings(), transport)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EX_TERM))
    start_ns = SystemClock().now_ns() - (ONCE_S if once else 3 * ONCE_S) * NS
    fleet = Fleet(VEHICLES, SEED, SCENARIOS, start_ns, rate=FRAME_RATE)
    with stage(settings, fleet) as running:
        console = Console()
        console.print(f"[bold]Station page[/]  {running.address}/")
        console.print(f"[bold]API[/]           {running.address}/openapi.json")
        with contextlib.suppress(KeyboardInterrupt):
            missed, summary = asyncio.run(_play(running, fleet, settings, console, once))
            if once:
                sys.exit(_conclude(console, missed, summary))


async def _play(
    running: Stage, fleet: Fleet, settings: Settings, console: Console, once: bool
) -> tuple[list[SeededFault], Summary]:
    gateway = Gateway(running.address, running.token)
    people = asyncio.create_task(act(running.address, 1.0 if once else CALM))
    with Live(console=console, refresh_per_second=2, transient=False) as live:
        shown = asyncio.create_task(_show(live, running, gateway))
        driven = asyncio.create_task(_drive(running, fleet, settings, gateway, once))
        await asyncio.wait([shown, driven], return_when=asyncio.FIRST_COMPLETED)
        if shown.done():
            driven.cancel()
            shown.result()
        shown.cancel()
        live.update(await asyncio.to_thread(table, running.pool, gateway.totals))
    people.cancel()
    return driven.result()


async def _drive(
    running: Stage, fleet: Fleet, settings: Settings, gateway: Gateway, once: bool
) -> tuple[list[SeededFault], Summary]:
    slices = ONCE_S * NS // fleet.slice_ns
    await drive(fleet, gateway, slices=slices, speed=SPEED)
    if not once:
        await _go_on(fleet, gateway, slices)
    return await settled(running.pool, fleet, wiring.bundle_of(settings), gateway)


async def _go_on(fleet: Fleet, gateway: Gateway, first: int) -> None:
    """Thirty times faster until the cars' time has caught up with the clock, then beside it."""
    lead = (SystemClock().now_ns() - fleet.start_ns) // fleet.slice_ns - first
    await drive(fleet, gateway, slices=max(lead, 1), first=first, speed=SPEED)
    number = first + max(lead, 1)
    while True:
        await drive(fleet, gateway, slices=1, first=number, speed=None)
        number += 1
        behind = fleet.start_ns + (number + 1) * fleet.slice_ns - SystemClock().now_ns()
        await asyncio.sleep(max(behind / NS, 0))


async def _show(live: Live, running: Stage, gateway: Gateway) -> None:
    while True:
        live.update(await asyncio.to_thread(table, running.pool, gateway.totals))
        await asyncio.sleep(0.5)
        if not running.alive():
            raise DemoError("roadcall up ended")


def _conclude(console: Console, missed: list[SeededFault], summary: Summary) -> int:
    for fault in missed:
        console.print(f"[red]missed[/] {fault.scenario}: rule {fault.rule} on {fault.vin}")
    console.print()
    print(orjson.dumps(asdict(summary)).decode())  # noqa: T201 - the contract of --once
    return 1 if missed or summary.acked_minus_stored else 0


def _choose(settings: Settings, transport: str) -> Settings:
    if transport == "embedded":
        return settings.model_copy(update={"kafka": None})
    if settings.kafka is None:
        raise typer.BadParameter("kafka needs ROADCALL_KAFKA; make demo-kafka starts one")
    return settings

"""`roadcall notices`: who hears of what, whether channels work, what was given up."""

from __future__ import annotations

import uuid
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dispatch import apprise_channel, channels, messages
from dispatch.delivery import Outcome
from model.clock import SystemClock, utc
from model.errors import RoadcallError
from model.subscription import Channel, Language, Subscription
from roadcall import wiring
from roadcall.cli_run import open_settings
from store import subscriptions
from store.database import transaction

notices = typer.Typer(no_args_is_help=True, help="Channels: subscribe, test, look after failures.")


class ChannelError(RoadcallError):
    """A channel that cannot be used; says why, never where."""


def register(app: typer.Typer) -> None:
    """Add the command group."""
    app.add_typer(notices, name="notices")


@notices.command("subscribe")
def subscribe(
    name: str,
    audience: Annotated[str, typer.Option(help="station, crew, region, hq, operator …")],
    channel: Channel,
    address: Annotated[str, typer.Option(prompt=True, hide_input=True, help="May hold secrets.")],
    secret: Annotated[str, typer.Option(help="Signs a webhook.")] = "",
    station: Annotated[str | None, typer.Option(help="Only this station's.")] = None,
    region: Annotated[str | None, typer.Option(help="Only this region's.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="A prefix of kinds; repeat.")] = None,
    min_severity: int = -1,
    language: Language = Language.ZH,
) -> None:
    """A new channel. The address is asked for when it is not given: it may hold secrets."""
    row = Subscription(
        subscription_id=uuid.uuid4(),
        name=name,
        audience=audience,
        station_id=station,
        region_id=region,
        kinds=tuple(kind or ()),
        min_severity=min_severity,
        channel=channel,
        address=address,
        secret=secret,
        language=language,
    )
    if channel is Channel.APPRISE and not apprise_channel.understood(address):
        raise ChannelError("not an address of a known service")
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        subscriptions.upsert(conn, row)
    typer.echo(str(row.subscription_id))


@notices.command("list")
def list_subscriptions() -> None:
    """Every channel, without its secrets."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        rows = subscriptions.every(conn)
    table = Table("id", "name", "audience", "for", "kinds", "channel")
    for row in rows:
        place = row.station_id or row.region_id or row.vin or "all"
        service = row.address.split(":", 1)[0]
        table.add_row(
            str(row.subscription_id), row.name, row.audience, place, " ".join(row.kinds), service
        )
    Console().print(table)


@notices.command("test")
def test_channel(subscription_id: uuid.UUID) -> None:
    """Send a test message now, without the outbox; exit 1 when the channel does not take it."""
    clock = SystemClock()
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        row = subscriptions.find(conn, subscription_id)
    record = messages.trial(str(subscription_id), row.name, clock.now_ns())
    result = channels.send(row, record, clock.now_ns())
    if result.outcome is not Outcome.SENT:
        raise ChannelError(f"{row.name}: {result.error}")
    typer.echo(f"{row.name}: {result.receipt}")


@notices.command("dead")
def list_dead(
    retry: Annotated[bool, typer.Option(help="Try all of them once more.")] = False,
    limit: int = 100,
) -> None:
    """Deliveries that were given up, newest first."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        found = subscriptions.lines(conn, dead_only=True, limit=limit)
        now = utc(SystemClock().now_ns())
        for line in found if retry else ():
            subscriptions.revive(conn, line.delivery_id, now)
    for line in found:
        typer.echo(f"{line.delivery_id} {line.kind} {line.name}: {line.last_error}")
    typer.echo(f"{len(found)} given up{', all tried again' if retry and found else ''}")

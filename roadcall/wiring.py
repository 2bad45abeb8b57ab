"""Joins the stages for one process: database, world, processor. Every command starts here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from dbc.profile import load_profile
from decoders.decode import Decoder
from decoders.plan import cached_plan
from dispatch.delivery import Sender
from dispatch.log_sink import LogSender
from dispatch.webhook import WebhookSender
from model.vehicle import Vehicle
from roadcall.owner import Owner
from roadcall.pipeline import World
from roadcall.recall import Recall
from roadcall.settings import Settings
from rules.bundle import Bundle, builtin_packs, load_bundle
from store import masters
from store.database import Connection, Pool, connect, open_pool
from store.embedded import EmbeddedPostgres, default_home
from store.migrate import migrate

POOL_SIZE = 16

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Database:
    """Where the rows are, and the server we started for it, if we did."""

    dsn: str
    pool: Pool
    embedded: EmbeddedPostgres | None


def home_of(settings: Settings) -> Path:
    """Our own directory: embedded database, plan cache, journals."""
    return settings.home or default_home()


@contextmanager
def database(settings: Settings, *, keep_running: bool = False) -> Iterator[Database]:
    """Started or found, migrated, pooled. An embedded server we started stops with us."""
    embedded, dsn = None, ""
    if settings.dsn is None:
        embedded = EmbeddedPostgres(home_of(settings))
        was_running = embedded.running()
        dsn = embedded.start()
        keep_running = keep_running or was_running
    else:
        dsn = settings.dsn.get_secret_value()
    with connect(dsn, autocommit=True) as conn:
        for name in migrate(conn, settings.partitions, settings.timescale):
            log.info("database.migrated", migration=name)
    pool = open_pool(dsn, POOL_SIZE)
    try:
        yield Database(dsn, pool, embedded)
    finally:
        pool.close()
        if embedded is not None and not keep_running:
            embedded.stop()


def bundle_of(settings: Settings) -> Bundle:
    """The built-in rule packs and the operator's."""
    return load_bundle(*builtin_packs(), *settings.rule_path)


def rule_texts(bundle: Bundle) -> dict[str, dict[str, str]]:
    """Each rule's title, as people read it."""
    return {rule.id: {"zh": rule.text.zh.title, "en": rule.text.en.title} for rule in bundle.rules}


def senders(settings: Settings) -> list[Sender]:
    """Where messages go; the log comes last and takes everything."""
    log_sink: list[Sender] = [LogSender()]
    if settings.webhook_url is None or settings.webhook_secret is None:
        return log_sink
    secret = settings.webhook_secret.get_secret_value().encode()
    return [WebhookSender(settings.webhook_url, secret), *log_sink]


def world_reader(settings: Settings) -> Callable[[Connection], World]:
    """Reads what all vehicles share; rules are compiled once."""
    bundle = bundle_of(settings)

    def read(conn: Connection) -> World:
        return World(bundle, tuple(masters.stations(conn)), settings.dispatch_max_age_s)

    return read


def decoder_source(settings: Settings) -> Callable[[Vehicle], Decoder]:
    """One compiled decoder a profile, shared by its vehicles; plans are cached on disk."""
    decoders: dict[str, Decoder] = {}
    cache = home_of(settings) / "plans"

    def decoder(vehicle: Vehicle) -> Decoder:
        if vehicle.profile not in decoders:
            profile = load_profile(vehicle.profile, settings.profile_path)
            decoders[vehicle.profile] = Decoder(cached_plan(profile, cache))
        return decoders[vehicle.profile]

    return decoder


def owner(settings: Settings, pool: Pool, topic: str) -> Owner:
    """The processor of one worker."""
    recall = Recall(decoder_source(settings))
    return Owner(pool, topic, settings.partitions, world_reader(settings), recall)

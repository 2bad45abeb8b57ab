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
from dispatch.osrm import OsrmRouter
from dispatch.webhook import WebhookSender
from model.clock import NS, Clock
from model.suppression import STORM, STORM_TEXT
from model.vehicle import Vehicle
from roadcall.owner import Owner
from roadcall.pipeline import World
from roadcall.recall import Recall
from roadcall.rule_library import Library
from roadcall.settings import Settings
from rules.bundle import Bundle, builtin_packs, load_bundle
from rules.cohorts import cohort_texts
from store import event_sinks, masters
from store.database import Connection, Pool, connect, open_pool, transaction
from store.embedded import EmbeddedPostgres, default_home
from store.migrate import migrate
from store.rule_bundles import Standing

POOL_SIZE = 16
DAY_NS = 86_400 * NS

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


def rule_texts(bundle: Bundle, *cohort_path: Path) -> dict[str, dict[str, str]]:
    """Each rule's title, as people read it."""
    titles = {r.id: {"zh": r.text.zh.title, "en": r.text.en.title} for r in bundle.rules}
    return titles | {STORM: STORM_TEXT} | cohort_texts(*cohort_path)


def senders(settings: Settings) -> list[Sender]:
    """Where messages and events go; the log comes last and takes everything."""
    made: list[Sender] = []
    if settings.webhook_url is not None and settings.webhook_secret is not None:
        secret = settings.webhook_secret.get_secret_value().encode()
        events = settings.webhook_events
        made.append(WebhookSender(settings.webhook_url, secret, events=events))
    if settings.kafka is not None:
        from roadcall.kafka_events import KafkaEvents

        made.append(KafkaEvents(settings.kafka, settings.event_topic, settings.partitions))
    return [*made, LogSender()]


def router(settings: Settings, clock: Clock) -> OsrmRouter | None:
    """The routing engine, if one is set."""
    if settings.routing_url is None:
        return None
    return OsrmRouter(
        settings.routing_url,
        clock,
        profile=settings.routing_profile,
        timeout_s=settings.routing_timeout_s,
    )


def register_sinks(settings: Settings, pool: Pool) -> None:
    """Let the store write events exactly where somebody of this installation listens."""
    named = {
        "kafka": settings.kafka is not None,
        "webhook": settings.webhook_url is not None and settings.webhook_events,
    }
    with transaction(pool) as conn:
        listening = {name for name, listens in named.items() if listens}
        event_sinks.register(conn, listening, settings.event_source)


def world_reader(settings: Settings, library: Library) -> Callable[[Connection, Standing], World]:
    """Reads what all vehicles share; rules are compiled once."""
    lateness_ns = round(settings.lateness_s * NS)

    def read(conn: Connection, now: Standing) -> World:
        stations = tuple(masters.stations(conn))
        active = library.active(conn, now)
        return World(
            active,
            stations,
            settings.dispatch_max_age_s,
            lateness_ns,
            shadow=library.shadow(conn, now),
            bundles=library.bundles(active),
        )

    return read


def decoder_source(settings: Settings) -> Callable[[Vehicle], Decoder]:
    """One compiled decoder a profile, shared by its vehicles; plans are cached on disk."""
    decoders: dict[str, Decoder] = {}
    cache = home_of(settings) / "plans"

    def decoder(vehicle: Vehicle) -> Decoder:
        if vehicle.profile not in decoders:
            profile = load_profile(vehicle.profile, settings.profile_path)
            decoders[vehicle.profile] = Decoder.of_profile(profile, cached_plan(profile, cache))
        return decoders[vehicle.profile]

    return decoder


def owner(settings: Settings, pool: Pool, topic: str) -> Owner:
    """The processor of one worker."""
    library = Library(settings)
    library.register(pool)
    recall = Recall(decoder_source(settings), library)
    keep_keys_ns = settings.pushed_batch_days * DAY_NS
    reader = world_reader(settings, library)
    return Owner(pool, topic, settings.partitions, reader, recall, keep_keys_ns)

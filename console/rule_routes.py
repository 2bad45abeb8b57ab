"""/v1/rule-bundles …: rules that come into force without a restart, and what a trial says."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Protocol

from fastapi import APIRouter, Path
from pydantic import Field, StringConstraints

from console.bodies import Body, Page
from console.cursors import page_of, read_cursor, read_id, read_moment
from console.parameters import Cursor, Limit
from console.problems import documented
from console.reads import Reads
from model.record import Record
from store import rule_bundles, shadow_alerts
from store.database import transaction
from store.rule_bundles import BundleContent, BundleRow, State
from store.shadow_alerts import ShadowAlert

Hash = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", examples=["0123456789abcdef"])]
FileName = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,80}$")]
FileText = Annotated[str, StringConstraints(max_length=1_000_000, pattern=r"^[^\x00]*$")]
#: A bundle with its tests; the built-in one has a few dozen files.
MAX_FILES = 200


class RuleDesk(Protocol):
    """Checks, tests and stores rules. Raises BundleRefusedError naming every fault."""

    def submit(
        self,
        packs: Mapping[str, str],
        tests: Mapping[str, str],
        state: State,
        actor: str,
        version: str = "",
    ) -> str:
        """Packs in the place of built-in ones of their names; the bundle's hash."""

    def move(self, prefix: str, state: State) -> str:
        """A stored bundle into another state; its hash."""


class BundleBody(Record):
    """Packs and tests as texts by file name. The tests run first; one fault refuses all."""

    packs: dict[FileName, FileText] = Field(min_length=1, max_length=MAX_FILES)
    tests: dict[FileName, FileText] = Field(default_factory=dict, max_length=MAX_FILES)
    state: Literal["shadow", "active"] = Field(
        "shadow", description="`shadow`: looked at, stored, told to nobody."
    )
    version: str = Field("", pattern=r"^(\d+\.\d+\.\d+)?$", description="Empty: counted on.")
    actor: Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[^\x00]+$")]


class MoveBody(Record):
    """Which state a bundle shall have."""

    state: State


class BundleDetail(Body):
    """One bundle with its texts."""

    bundle: BundleRow
    content: BundleContent


def add(router: APIRouter, reads: Reads, desk: RuleDesk) -> None:
    """Add the routes."""

    @router.get("/rule-bundles", tags=["rules"], summary="Rule bundles, the last changed first")
    def list_bundles(limit: Limit = 50) -> list[BundleRow]:
        with transaction(reads.pool) as conn:
            return rule_bundles.page(conn, limit)

    @router.post(
        "/rule-bundles",
        tags=["rules"],
        summary="Check, test and store rules; on trial first unless told otherwise",
        status_code=201,
    )
    def post_bundle(body: BundleBody) -> BundleRow:
        name = desk.submit(body.packs, body.tests, body.state, body.actor, body.version)
        with transaction(reads.pool) as conn:
            return rule_bundles.find(conn, name)

    @router.get(
        "/rule-bundles/{bundle_hash}",
        tags=["rules"],
        summary="One bundle with its texts",
        responses=documented("not-found"),
    )
    def get_bundle(bundle_hash: Hash) -> BundleDetail:
        with transaction(reads.pool) as conn:
            row = rule_bundles.find(conn, bundle_hash)
            return BundleDetail(bundle=row, content=rule_bundles.content(conn, row.hash))

    @router.put(
        "/rule-bundles/{bundle_hash}/state",
        tags=["rules"],
        summary="Put on trial, activate or retire; workers follow with their next take",
        responses=documented("not-found"),
    )
    def put_state(bundle_hash: Hash, body: MoveBody) -> BundleRow:
        name = desk.move(bundle_hash, body.state)
        with transaction(reads.pool) as conn:
            return rule_bundles.find(conn, name)

    @router.get(
        "/rule-bundles/{bundle_hash}/shadow-alerts",
        tags=["rules"],
        summary="What a bundle said while on trial, newest first",
    )
    def list_shadow_alerts(
        bundle_hash: Hash, cursor: Cursor = None, limit: Limit = 50
    ) -> Page[ShadowAlert]:
        with transaction(reads.pool) as conn:
            rows = shadow_alerts.page(conn, bundle_hash, before=_place(cursor), limit=limit + 1)
        return page_of(rows, limit, lambda a: (a.fired_at.isoformat(), str(a.alert_id)))


def _place(cursor: str | None) -> tuple[datetime, uuid.UUID] | None:
    """Where a page begins."""
    if not cursor:
        return None
    moment, alert_id = read_cursor(cursor, (str, str))
    return read_moment(moment), read_id(alert_id)

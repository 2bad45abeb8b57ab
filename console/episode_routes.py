"""GET /v1/episodes, /v1/vehicles/{vin}/episodes; what people say of codes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from console.bodies import EpisodeBody, Page, StepBody
from console.cursors import page_of, read_cursor, read_id
from console.episode_reads import RuleTexts, bodies
from console.parameters import Cursor, Limit, VinPath
from console.problems import documented, field_problem
from console.reads import Reads
from model.clock import ns_of, utc
from model.code_names import CodeNameError, key_of
from model.episodes import CodeVerdict
from model.record import Label
from store import episode_pages, masters
from store.database import transaction
from store.episode_pages import Override

TAGS: list[str | Enum] = ["fault episodes"]
CodeQuery = Annotated[
    str, Query(min_length=1, max_length=40, pattern=r"^[^\x00]*$", examples=["P0217", "110/0"])
]
WithIgnored = Annotated[bool, Query(description="Also codes an operator ignores.")]
Which = Annotated[Literal["open", "all"], Query(description="`all`: ended ones too.")]


class OverrideBody(BaseModel):
    """Rename, ignore or call critical a code: `P0217-44`, `P0217`, `110/0`, or `110` for every FMI.

    The most exact one holds, for episodes that are open already too.
    """

    model_config = ConfigDict(extra="forbid")

    code: str = Field(min_length=1, max_length=40, pattern=r"^[^\x00]*$", examples=["P0217"])
    verdict: CodeVerdict | None = Field(None, description="Null: only renamed.")
    zh: Label = ""
    en: Label = ""
    actor: str = Field(min_length=1, max_length=80, pattern=r"^[^\x00]+$")
    reason: str = Field("", max_length=500, pattern=r"^[^\x00]*$")


class ClearedBody(StepBody):
    """Who says that a vehicle's codes were cleared or its faults repaired, and when."""

    at: AwareDatetime | None = Field(None, description="Now, when left out; never later than now.")


def add(router: APIRouter, reads: Reads, texts: RuleTexts) -> None:
    """Add the routes."""
    _add_lists(router, reads, texts)
    _add_words(router, reads)


def _add_lists(router: APIRouter, reads: Reads, texts: RuleTexts) -> None:
    @router.get("/episodes", tags=TAGS, summary="Open fault episodes, worst first, then newest")
    def list_episodes(
        cursor: Cursor = None, limit: Limit = 50, ignored: WithIgnored = False
    ) -> Page[EpisodeBody]:
        after = None
        if cursor:
            severity, started_ns, key = read_cursor(cursor, (int, int, str))
            after = _bounded(severity), _bounded(started_ns), read_id(key)
        with transaction(reads.pool) as conn:
            rows = episode_pages.open_page(conn, after=after, limit=limit + 1, with_ignored=ignored)
            page = page_of(
                rows, limit, lambda r: (int(r.severity), r.started_ns, str(r.episode_id))
            )
            items = bodies(conn, page.items, texts, reads.clock.now_ns())
        return Page(items=items, next_cursor=page.next_cursor)

    @router.get(
        "/vehicles/{vin}/episodes",
        tags=TAGS,
        summary="Fault episodes of one vehicle, newest first",
        responses=documented("not-found"),
    )
    def list_vehicle_episodes(
        vin: VinPath, state: Which = "all", cursor: Cursor = None, limit: Limit = 50
    ) -> Page[EpisodeBody]:
        after = None
        if cursor:
            started_ns, key = read_cursor(cursor, (int, str))
            after = _bounded(started_ns), read_id(key)
        with transaction(reads.pool) as conn:
            masters.vehicle(conn, vin)
            rows = episode_pages.of_vehicle(
                conn, vin, after=after, limit=limit + 1, open_only=state == "open"
            )
            page = page_of(rows, limit, lambda r: (r.started_ns, str(r.episode_id)))
            items = bodies(conn, page.items, texts, reads.clock.now_ns())
        return Page(items=items, next_cursor=page.next_cursor)

    @router.post(
        "/vehicles/{vin}/codes-cleared",
        tags=TAGS,
        status_code=202,
        summary="A person says that codes were cleared; episodes follow within seconds",
        responses=documented("not-found"),
    )
    def codes_cleared(vin: VinPath, body: ClearedBody) -> None:
        now_ns = reads.clock.now_ns()
        at_ns = now_ns if body.at is None else ns_of(body.at)
        if at_ns > now_ns:
            raise field_problem("body.at", "lies in the future")
        with transaction(reads.pool) as conn:
            episode_pages.add_cleared(conn, vin, at_ns, body.actor, body.reason)


def _add_words(router: APIRouter, reads: Reads) -> None:
    @router.get("/code-overrides", tags=TAGS, summary="What operators think of codes")
    def list_overrides() -> Sequence[Override]:
        with transaction(reads.pool) as conn:
            return episode_pages.overrides(conn)

    @router.put("/code-overrides", tags=TAGS, summary="Rename, ignore or flag a code")
    def put_override(body: OverrideBody) -> Override:
        if body.verdict is None and not (body.zh or body.en):
            raise field_problem("body.verdict", "needed where no name is given")
        key = _code(body.code, "body.code")
        fields = body.model_dump() | {"code": key, "changed_at": utc(reads.clock.now_ns())}
        override = Override.model_validate(fields)
        with transaction(reads.pool) as conn:
            episode_pages.put_override(conn, override)
        return override

    @router.delete(
        "/code-overrides",
        tags=TAGS,
        status_code=204,
        summary="Forget what was thought of a code",
        responses=documented("not-found"),
    )
    def drop_override(code: CodeQuery) -> None:
        with transaction(reads.pool) as conn:
            episode_pages.drop_override(conn, _code(code, "query.code"))


def _code(text: str, field: str) -> str:
    try:
        return key_of(text)
    except CodeNameError as error:
        raise field_problem(field, str(error)) from None


def _bounded(number: object) -> int:
    """A number inside a cursor that the database can compare with."""
    found = int(str(number))
    if abs(found) >= 2**63:
        raise field_problem("query.cursor", "not a cursor of this list")
    return found

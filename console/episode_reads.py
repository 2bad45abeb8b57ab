"""Stored fault episodes as bodies of the API: with texts, and UNKNOWN where nothing was heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from console.bodies import EpisodeBody, FreezeFrameBody, FreezeValueBody, Text
from console.text import rule_title
from model.clock import NS, utc
from model.code_book import CodeText, explain
from model.code_texts import code_book
from model.codes import CodeProtocol
from model.episodes import (
    OPEN,
    OWN_PARAMETERS,
    CodeVerdict,
    EpisodeKind,
    EpisodeParameters,
    EpisodeState,
)
from store import episode_pages
from store.database import Connection
from store.episode_pages import StoredEpisode

#: Episodes in a vehicle's detail.
VEHICLE_EPISODES = 30

RuleTexts = Mapping[str, Mapping[str, str]]


def vehicle_episodes(
    conn: Connection, vin: str, texts: RuleTexts, now_ns: int
) -> list[EpisodeBody]:
    """What a vehicle's page shows."""
    rows = episode_pages.of_vehicle(conn, vin, limit=VEHICLE_EPISODES)
    return bodies(conn, [r for r in rows if r.verdict is not CodeVerdict.IGNORE], texts, now_ns)


def bodies(
    conn: Connection, rows: Sequence[StoredEpisode], texts: RuleTexts, now_ns: int
) -> list[EpisodeBody]:
    """One body a row."""
    lists = episode_pages.lists_for(conn, rows)
    found = []
    for row in rows:
        text = None
        if row.kind is EpisodeKind.CODE:
            text = explain(row.key.dtc(row.conversion_method), lists, row.brand, row.model)
        found.append(_body(row, text, texts, now_ns))
    return found


def state_of(
    row: StoredEpisode, now_ns: int, parameters: EpisodeParameters = OWN_PARAMETERS
) -> EpisodeState:
    """UNKNOWN when it is open and what could end it has been silent for too long."""
    silent_ns = now_ns - row.heard_ns
    if row.state in OPEN and silent_ns > parameters.stale_after_s * NS:
        return EpisodeState.UNKNOWN
    return row.state


def _body(row: StoredEpisode, text: CodeText | None, texts: RuleTexts, now_ns: int) -> EpisodeBody:
    of_code = text is not None
    return EpisodeBody(
        episode_id=row.episode_id,
        vin=row.vin,
        plate=row.plate,
        kind=row.kind,
        ecu=row.ecu if of_code else None,
        protocol=CodeProtocol(row.protocol) if of_code else None,
        code=episode_pages.exact_name(row),
        instance=row.instance,
        title=_title(row, text, texts),
        system=text.system if text else "",
        action=_action(text),
        state=state_of(row, now_ns),
        severity=row.severity,
        verdict=row.verdict,
        count=row.count,
        repeat=row.repeat,
        started_at=utc(row.started_ns),
        last_seen_at=utc(row.last_seen_ns),
        since_at=utc(row.since_ns),
        ended_at=None if row.ended_ns is None else utc(row.ended_ns),
        status=row.status,
        occurrence_count=row.occurrence_count,
        freeze_frames=_frames(row.freeze_frames),
    )


def _title(row: StoredEpisode, text: CodeText | None, texts: RuleTexts) -> Text:
    """An operator's own name first, in both languages where only one was given."""
    if text is None:
        return Text.model_validate(rule_title(texts, row.code))
    zh, en = row.zh or row.en or text.zh, row.en or row.zh or text.en
    return Text(zh=zh, en=en)


def _action(text: CodeText | None) -> Text | None:
    if text is None:
        return None
    action = code_book().actions.get(text.action)
    return Text(zh=action.zh, en=action.en) if action else None


def _frames(content: str | None) -> list[FreezeFrameBody]:
    return [
        FreezeFrameBody(
            number=number,
            values=[FreezeValueBody(identifier=i, content=text) for i, text in parts],
        )
        for number, parts in orjson.loads(content or "[]")
    ]

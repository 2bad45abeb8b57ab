"""Who hears of a message and when: kinds from dispatch/notices.toml, channels from subscriptions.

Pure. A message is spread once: each subscription that wants it gets a delivery of its own, with its
own retries. Quiet hours hold back whatever is below severity 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache

from pydantic import Field

from dispatch.quiet import Quiet
from model.effects import OutboxRecord
from model.record import Record
from model.subscription import Language, Subscription
from model.terms_files import read_terms

#: Never held back (domain.md, severities).
URGENT = 3


class Notice(Record):
    """What holds for kinds with this prefix."""

    prefix: str
    to: tuple[str, ...] = Field(min_length=1)
    severity: int = Field(ge=-1, le=4)
    acknowledge: bool = False
    zh: str
    en: str


@cache
def notices() -> tuple[Notice, ...]:
    """All lines, the longest prefix first. Raises ValidationError when the file is wrong."""
    found = [Notice.model_validate(row) for row in read_terms("notices.toml")["notice"]]
    assert len({n.prefix for n in found}) == len(found), "a prefix stands twice in notices.toml"
    return tuple(sorted(found, key=lambda n: -len(n.prefix)))


def notice_of(kind: str) -> Notice:
    """The line of a kind of message."""
    return next(n for n in notices() if kind.startswith(n.prefix))


def audience(record: OutboxRecord) -> tuple[str, ...]:
    """Roles that shall read a message: those it names, else those of its kind."""
    named = record.body.get("to")
    if isinstance(named, str):
        named = [role.strip() for role in named.split(",")]
    roles = [str(role) for role in named or () if role]
    return tuple(dict.fromkeys(roles)) or notice_of(record.kind).to


def severity(record: OutboxRecord) -> int:
    """The message's own severity, else that of its kind."""
    own = record.body.get("severity")
    return int(own) if isinstance(own, int | float) else notice_of(record.kind).severity


class Directory:
    """Subscriptions by whom they are for. `regions`: region of each station."""

    def __init__(
        self, subscriptions: Iterable[Subscription], regions: Mapping[str, str | None]
    ) -> None:
        self._regions = regions
        self._by: dict[tuple[str, str, str], list[Subscription]] = {}
        for row in subscriptions:
            if row.active:
                self._by.setdefault((row.audience, *_scope(row)), []).append(row)

    def wanting(self, record: OutboxRecord) -> list[Subscription]:
        """Whose channels get a message: by role, place or car, kind and severity."""
        station = record.body.get("station_id")
        region = record.body.get("region_id") or self._regions.get(str(station))
        places = [("", ""), ("station", station), ("region", region)]
        places.append(("vin", record.body.get("vin")))
        level = severity(record)
        return [
            row
            for role in audience(record)
            for kind, key in places
            if key is not None
            for row in self._by.get((role, kind, str(key)), ())
            if level >= row.min_severity
            and (not row.kinds or any(record.kind.startswith(k) for k in row.kinds))
        ]


def _scope(row: Subscription) -> tuple[str, str]:
    if row.station_id is not None:
        return "station", row.station_id
    if row.region_id is not None:
        return "region", row.region_id
    return ("vin", row.vin) if row.vin is not None else ("", "")


def moment(row: Subscription, record: OutboxRecord, now: datetime) -> datetime:
    """When a message may be sent on a channel."""
    if row.quiet_from is None or row.quiet_to is None or severity(record) >= URGENT:
        return now
    quiet = Quiet(quiet_from=row.quiet_from, quiet_to=row.quiet_to, time_zone=row.time_zone)
    return quiet.until(now) or now


def words(record: OutboxRecord, language: Language) -> tuple[str, str]:
    """Title and text for a person."""
    notice = notice_of(record.kind)
    said = {"zh": str(record.body.get("zh", "")), "en": str(record.body.get("en", ""))}
    if language is Language.BOTH:
        return f"{notice.zh} {notice.en}", f"{said['zh']}\n{said['en']}"
    return (notice.zh, said["zh"]) if language is Language.ZH else (notice.en, said["en"])


def told_twice(rows: Sequence[Subscription]) -> list[Subscription]:
    """Each channel once, however many roles name it."""
    return list({row.subscription_id: row for row in rows}.values())

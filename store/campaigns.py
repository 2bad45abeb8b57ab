"""Seasonal campaigns: who is asked, and what they answered.

A target is a maintenance item of kind `campaign.<id>`: it reminds, is booked, put off, declined and
done like any other, and the answers are counted by the view `campaign_response`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString

from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from model.maintenance import MaintenanceItem, Measured, Selector
from store import maintenance
from store.database import Connection, UnknownRowError

PREFIX = "campaign."
SELECT: LiteralString = """
select v.vin from vehicle_master v
join maintenance_vehicle c using (vehicle_id)
where (%(brands)s::text[] is null or lower(v.brand) = any(%(brands)s))
  and (%(models)s::text[] is null or lower(v.model) = any(%(models)s))
  and (%(powertrains)s::text[] is null or v.powertrain = any(%(powertrains)s))
  and (%(regions)s::text[] is null or v.region = any(%(regions)s))
  and (%(stations)s::text[] is null or v.preferred_station = any(%(stations)s))
  and (%(year_from)s::int is null or v.model_year >= %(year_from)s)
  and (%(year_to)s::int is null or v.model_year between 1 and %(year_to)s)
  and (%(odometer_from)s::float8 is null or c.odometer_km >= %(odometer_from)s)
  and (%(odometer_to)s::float8 is null or c.odometer_km <= %(odometer_to)s)
  and v.consents ? 'campaign'
order by 1
"""
#: Mean of a signal over the last days, by VIN; vehicles that said nothing are not in it.
AMBIENT: LiteralString = """
select v.vin, sum(h.vsum) / sum(h.n) from signal_1h h join signal n using (signal_id)
join vehicle v using (vehicle_id)
where n.name = 'ambient_temp_c' and h.bucket >= %s and h.bucket <= %s and v.vin = any(%s)
group by 1
"""
AMBIENT_DAYS = 7
CAMPAIGN: LiteralString = (
    "select c.campaign_id, c.zh, c.en, c.selector, c.starts_at, c.ends_at, c.created_by,"
    " c.selected_at, c.closed_at, r.targets, r.asked, r.yes, r.no, r.postponed, r.done"
    " from campaign c join campaign_response r using (campaign_id)"
)


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign and the answers so far."""

    campaign_id: str
    zh: str
    en: str
    selector: Selector
    starts_at: datetime
    ends_at: datetime
    created_by: str
    selected_at: datetime | None
    closed_at: datetime | None
    targets: int
    asked: int
    yes: int
    no: int
    postponed: int
    done: int


def create(
    conn: Connection,
    *,
    campaign_id: str,
    zh: str,
    en: str,
    selector: Selector,
    starts_at: datetime,
    ends_at: datetime,
    actor: str,
) -> bool:
    """Write a campaign down; False when one of this name is there already."""
    return (
        conn.execute(
            "insert into campaign (campaign_id, zh, en, selector, starts_at, ends_at, created_by)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict do nothing",
            [
                campaign_id,
                zh,
                en,
                Jsonb(selector.model_dump(mode="json")),
                starts_at,
                ends_at,
                actor,
            ],
        ).rowcount
        == 1
    )


def find(conn: Connection, campaign_id: str) -> Campaign:
    """One campaign. Raises UnknownRowError."""
    rows = _rows(conn, " where c.campaign_id = %s", [campaign_id])
    if not rows:
        raise UnknownRowError("campaign")
    return rows[0]


def page(conn: Connection, limit: int = 200) -> list[Campaign]:
    """Campaigns, the newest first."""
    return _rows(conn, " order by c.starts_at desc, c.campaign_id limit %s", [limit])


def running(conn: Connection, now: datetime) -> list[Campaign]:
    """Those that ask somebody now, locked by nobody: selecting twice changes nothing."""
    return _rows(
        conn,
        " where c.starts_at <= %s and c.ends_at > %s and c.closed_at is null order by 1",
        [now, now],
    )


def select(conn: Connection, selector: Selector, now: datetime) -> list[str]:
    """VINs a selector means now, in order; owners without consent to campaigns are left out."""
    rows = conn.execute(
        SELECT,
        {
            "brands": _lower(selector.brands),
            "models": _lower(selector.models),
            "powertrains": list(selector.powertrains) or None,
            "regions": list(selector.regions) or None,
            "stations": list(selector.stations) or None,
            "year_from": selector.year_from,
            "year_to": selector.year_to,
            "odometer_from": selector.odometer_from_km,
            "odometer_to": selector.odometer_to_km,
        },
    )
    found = [str(vin) for (vin,) in rows]
    if selector.ambient_below_c is not None or selector.ambient_above_c is not None:
        means = _ambient(conn, found, now)
        low, high = selector.ambient_above_c, selector.ambient_below_c
        found = [
            vin
            for vin in found
            if vin in means
            and (high is None or means[vin] < high)
            and (low is None or means[vin] > low)
        ]
    for question in selector.measured:
        found = _measured(conn, found, question)
    return found


def ask(conn: Connection, campaign: Campaign, vins: Sequence[str], now: datetime) -> None:
    """Make items of targets; those asked already stay as they are."""
    days = (campaign.ends_at - now) / timedelta(days=1)
    items = [
        MaintenanceItem(
            vin=vin,
            kind=PREFIX + campaign.campaign_id,
            interval_days=days,
            soon_days=days,
            base_at=now,
        )
        for vin in vins
    ]
    maintenance.add_missing(conn, items, campaign.campaign_id)
    conn.execute(
        "update campaign set selected_at = %s where campaign_id = %s", [now, campaign.campaign_id]
    )


def close_ended(conn: Connection, now: datetime) -> int:
    """Nobody is asked any more once a campaign is over; how many ended now."""
    ended = conn.execute(
        "update campaign set closed_at = %s where ends_at <= %s and closed_at is null"
        " returning campaign_id",
        [now, now],
    ).fetchall()
    conn.execute(
        "update maintenance_item set handling = 'not_applicable', handling_until = null"
        " where campaign_id = any(%s) and handling in ('open', 'snoozed') and cycle = 0",
        [[row[0] for row in ended]],
    )
    return len(ended)


def words_of(conn: Connection, kind: str) -> tuple[str, str] | None:
    """Chinese and English name of the campaign an item belongs to."""
    row = conn.execute(
        "select zh, en from campaign where %s || campaign_id = %s", [PREFIX, kind]
    ).fetchone()
    return None if row is None else (str(row[0]), str(row[1]))


def _lower(words: Sequence[str]) -> list[str] | None:
    return [word.lower() for word in words] or None


def _ambient(conn: Connection, vins: Sequence[str], now: datetime) -> dict[str, float]:
    rows = conn.execute(AMBIENT, [now - timedelta(days=AMBIENT_DAYS), now, list(vins)])
    return {str(vin): float(str(mean)) for vin, mean in rows}


def _measured(conn: Connection, vins: Sequence[str], question: Measured) -> list[str]:
    """Those whose newest value of a signal answers yes."""
    rows = conn.execute(
        "select v.vin, s.vals[i] from vehicle_state s join vehicle v using (vehicle_id)"
        " join signal n on n.name = %s"
        " cross join lateral (select array_position(s.signal_ids, n.signal_id) as i) p"
        " where v.vin = any(%s) and i is not null order by 1",
        [question.signal, list(vins)],
    )
    return [str(vin) for vin, value in rows if question.holds(float(str(value)))]


def _rows(conn: Connection, tail: LiteralString, values: Sequence[object]) -> list[Campaign]:
    with conn.cursor(row_factory=dict_row) as cur:
        rows = cur.execute(sql.SQL(CAMPAIGN + tail), values).fetchall()
    return [Campaign(selector=Selector.model_validate(r.pop("selector")), **r) for r in rows]

"""A station's day as the report that lies on the desk the next morning (domain.md 1.2, 78)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from console.bodies import Text
from console.kpi_bodies import ReportLine, ReportSection, StationReport
from console.kpis import kpi_texts
from store import duty, figures, station_day
from store.database import Connection, Pool, transaction
from store.station_day import StationName

#: How far the report looks ahead (our own).
GAP_HOURS, CERTIFICATE_DAYS = 24, 30


def report(pool: Pool, station_id: str, day: date | None, now: datetime) -> StationReport:
    """One day of one station; yesterday there without `day`. Raises UnknownRowError."""
    with transaction(pool) as conn:
        station = station_day.station_name(conn, station_id)
        asked = day or now.astimezone(ZoneInfo(station.time_zone)).date() - timedelta(days=1)
        counts = station_day.station_day(conn, station, asked)
        values: dict[str, tuple[float | None, str]] = {
            **{key: (float(count), "") for key, count in counts.model_dump().items()},
            **_network(conn, station, asked, now),
        }
        scores = station_day.scores(conn, station_id, asked)
    sections = _sections(values)
    sections[-1].lines.extend(
        ReportLine(
            key=f"score.{s.source}",
            title=Text(zh=f"评分（{s.source}）", en=f"score ({s.source})"),
            value=s.score,
            unit="",
        )
        for s in scores
    )
    title = Text(zh=station.name, en=station.name_en or station.name)
    return StationReport(station_id=station_id, station=title, day=asked, sections=sections)


def _network(
    conn: Connection, station: StationName, day: date, now: datetime
) -> dict[str, tuple[float | None, str]]:
    """Load and duty."""
    key = station.station_id
    loads = figures.station_loads(conn, now, key)
    open_s, covered_s = duty.cover(conn, key, *station.bounds(day))
    missing = duty.gaps(conn, now, now + timedelta(hours=GAP_HOURS), station_id=key)
    ending = duty.ending_certificates(conn, now, CERTIFICATE_DAYS, station_id=key)
    return {
        "load": (loads[0].load if loads else None, ""),
        "customers_per_bay": (loads[0].customers_per_bay if loads else None, ""),
        "duty_cover": (100 * covered_s / open_s if open_s else None, "%"),
        "gaps": (float(len(missing)), ""),
        "ending_certificates": (float(len(ending)), ""),
    }


def _sections(values: dict[str, tuple[float | None, str]]) -> list[ReportSection]:
    texts = kpi_texts()
    return [
        ReportSection(
            key=section,
            title=title,
            lines=[
                ReportLine(
                    key=key,
                    title=Text(zh=line.zh, en=line.en),
                    value=values[key][0],
                    unit=values[key][1],
                )
                for key, line in texts.line.items()
                if line.section == section
            ],
        )
        for section, title in texts.section.items()
    ]

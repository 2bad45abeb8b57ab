"""The stations that may answer for a place: near ones, and those whose area may hold it."""

from __future__ import annotations

from model.vehicle import Station
from store.database import Connection

#: How many of the nearest are looked at, and how far away an area may begin, in degrees (our own).
NEAREST, AREA_DEG = 20, 6.0
AROUND = """
with placed as (
    select s, coverage is not null and abs(latitude_deg - %(latitude)s) < %(area)s
            and abs(longitude_deg - %(longitude)s) < %(area)s as has_area,
        row_number() over (order by (latitude_deg - %(latitude)s) ^ 2
            + ((longitude_deg - %(longitude)s) * cosd(%(latitude)s)) ^ 2, station_id) as place
    from station s where active)
select to_jsonb(s) from placed where place <= %(nearest)s or has_area
"""


def around(conn: Connection, place: tuple[float, float]) -> list[Station]:
    """Working stations for `dispatch.rescue_request.station_at` to choose from."""
    latitude, longitude = place
    values = {
        "latitude": latitude, "longitude": longitude, "nearest": NEAREST, "area": AREA_DEG,
    }  # fmt: skip
    return [_station(row) for (row,) in conn.execute(AROUND, values)]


def _station(row: object) -> Station:
    assert isinstance(row, dict)
    return Station.model_validate({k: row[k] for k in Station.model_fields})

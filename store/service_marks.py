"""When people had to help a vehicle: work orders opened and rescues requested."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from store.database import Connection


def helped(conn: Connection, vins: Sequence[str]) -> dict[str, list[datetime]]:
    """Moments by VIN, in order of time."""
    rows = conn.execute(
        "select v.vin, h.moment from (select vehicle_id, opened_at as moment from work_order"
        " union all select vehicle_id, requested_at from rescue_case) h"
        " join vehicle v using (vehicle_id) where v.vin = any(%s) order by 1, 2",
        [list(vins)],
    )
    found: dict[str, list[datetime]] = {}
    for vin, moment in rows:
        assert isinstance(moment, datetime)
        found.setdefault(str(vin), []).append(moment)
    return found

"""Distance on the sphere. A routing engine may replace the estimate built on it."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

#: Mean Earth radius R1 of the IUGG.
EARTH_RADIUS_KM = 6371.0088


def great_circle_km(from_deg: tuple[float, float], to_deg: tuple[float, float]) -> float:
    """Haversine distance between two (latitude, longitude) points."""
    lat1, lon1, lat2, lon2 = map(radians, (*from_deg, *to_deg))
    chord = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(chord)))

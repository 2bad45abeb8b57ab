"""The area a station's crews serve.

Source: RFC 7946 (GeoJSON) 3.1.6 and 3.1.7: positions are longitude, latitude in WGS 84; the first
ring of a polygon is its border, the others are holes; a ring ends where it began.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from model.record import Latitude, Longitude, Record

Position = tuple[Longitude, Latitude]


def _closed(ring: object) -> object:
    """A ring that does not end where it began gets its last position."""
    if isinstance(ring, list | tuple) and ring and ring[0] != ring[-1]:
        return [*ring, ring[0]]
    return ring


Ring = Annotated[tuple[Position, ...], Field(min_length=4), BeforeValidator(_closed)]
Rings = Annotated[tuple[Ring, ...], Field(min_length=1)]


class Polygon(Record):
    """One area, perhaps with holes."""

    type: Literal["Polygon"] = "Polygon"
    coordinates: Rings

    def contains(self, latitude_deg: float, longitude_deg: float) -> bool:
        """Whether a place lies inside; on the border either answer may come."""
        return _inside(self.coordinates, latitude_deg, longitude_deg)


class MultiPolygon(Record):
    """Several areas."""

    type: Literal["MultiPolygon"] = "MultiPolygon"
    coordinates: Annotated[tuple[Rings, ...], Field(min_length=1)]

    def contains(self, latitude_deg: float, longitude_deg: float) -> bool:
        """Whether a place lies inside one of them."""
        return any(_inside(rings, latitude_deg, longitude_deg) for rings in self.coordinates)


def _given(value: object) -> object:
    """A bare list of positions is the border of one polygon."""
    return {"type": "Polygon", "coordinates": [value]} if isinstance(value, list) else value


#: A field that takes a GeoJSON geometry, or just its border as [[lon, lat], …].
Coverage = Annotated[
    Annotated[Polygon | MultiPolygon, Field(discriminator="type")], BeforeValidator(_given)
]


def _inside(rings: Sequence[Sequence[Position]], latitude_deg: float, longitude_deg: float) -> bool:
    """Even-odd rule: a ray to the east crosses the rings an odd number of times."""
    crossings = 0
    for ring in rings:
        for (x1, y1), (x2, y2) in pairwise(ring):
            if (y1 > latitude_deg) != (y2 > latitude_deg):
                x = x1 + (latitude_deg - y1) * (x2 - x1) / (y2 - y1)
                crossings += longitude_deg < x
    return crossings % 2 == 1

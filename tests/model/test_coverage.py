"""Inside or outside of an area."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from model.coverage import Coverage, MultiPolygon, Polygon

AREA: TypeAdapter[Polygon | MultiPolygon] = TypeAdapter(Coverage)
SQUARE = [[120, 30], [121, 30], [121, 31], [120, 31], [120, 30]]
HOLE = [[120.4, 30.4], [120.6, 30.4], [120.6, 30.6], [120.4, 30.6], [120.4, 30.4]]


def test_a_square_with_a_hole() -> None:
    area = AREA.validate_python({"type": "Polygon", "coordinates": [SQUARE, HOLE]})
    assert area.contains(30.1, 120.1)
    assert not area.contains(30.5, 120.5)
    assert not area.contains(29.9, 120.5)
    assert not area.contains(30.5, 121.5)
    assert not area.contains(120.5, 30.5)  # longitude comes first in GeoJSON


def test_a_bare_border_is_closed_and_read() -> None:
    area = AREA.validate_python(SQUARE[:-1])
    assert area == AREA.validate_python({"type": "Polygon", "coordinates": [SQUARE]})


def test_several_areas() -> None:
    far = [[[10, 50], [11, 50], [11, 51], [10, 50]]]
    area = AREA.validate_python({"type": "MultiPolygon", "coordinates": [[SQUARE], far]})
    assert area.contains(30.5, 120.5)
    assert area.contains(50.2, 10.8)
    assert not area.contains(50.8, 10.2)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [[120, 30], [121, 30]],
        {"type": "Polygon", "coordinates": []},
        {"type": "Point", "coordinates": [120, 30]},
        [[200, 30], [201, 30], [201, 31]],
        "everywhere",
    ],
)
def test_what_is_no_area_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        AREA.validate_python(wrong)


degrees = st.floats(-80, 80, allow_nan=False)


@given(degrees, degrees, st.floats(0.1, 5), st.floats(0.1, 5), degrees, degrees)
def test_a_box_holds_what_lies_between_its_sides(
    south: float, west: float, height: float, width: float, latitude: float, longitude: float
) -> None:
    north, east = south + height, west + width
    assume(latitude not in (south, north) and longitude not in (west, east))
    area = AREA.validate_python([[west, south], [east, south], [east, north], [west, north]])
    inside = south < latitude < north and west < longitude < east
    assert area.contains(latitude, longitude) == inside

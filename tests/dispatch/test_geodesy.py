"""Great-circle distance against unit vectors, which need no haversine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.geodesy import great_circle_km

points = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(points, points)
def test_agrees_with_the_angle_between_vectors(
    a: tuple[float, float], b: tuple[float, float]
) -> None:
    def vector(point: tuple[float, float]) -> np.ndarray:
        lat, lon = np.radians(point)
        return np.array([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])

    u, v = vector(a), vector(b)
    angle = np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v)
    assert great_circle_km(a, b) == pytest.approx(6371.0088 * angle, abs=1e-3)


def test_from_pole_to_equator_is_a_quarter_of_the_circumference() -> None:
    assert great_circle_km((90, 0), (0, 77)) == pytest.approx(np.pi / 2 * 6371.0088)

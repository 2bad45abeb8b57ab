"""Which names are the same signal whatever profile they come from."""

from __future__ import annotations

import pytest

from store.signal_names import profile_name, stored_name


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("speed_kmh", "speed_kmh"),
        ("cell_voltage_v[96]", "cell_voltage_v[96]"),
        ("cell_voltage_v", "demo_ev:cell_voltage_v"),  # an array is no signal
        ("Body.Door", "demo_ev:Body.Door"),
        ("DID_0101.Limp", "demo_ev:DID_0101.Limp"),
    ],
)
def test_catalogue_signals_and_elements_are_shared(name: str, stored: str) -> None:
    assert stored_name("demo_ev", name) == stored
    assert profile_name("demo_ev", stored) == name

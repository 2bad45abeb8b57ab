"""Demo master data."""

from __future__ import annotations

from collections import Counter

from model.vehicle import Zone
from simulators.fleet import Fleet
from simulators.masters import check_digit, rescue_units, stations, trained_crew


def test_check_digit_of_known_vins() -> None:
    # The worked example of the published algorithm, and the classic self-test.
    assert check_digit("1M8GDM9AXKP042788") == "X"
    assert check_digit("11111111111111111") == "1"


def test_twenty_vehicles_have_distinct_valid_vins() -> None:
    vehicles = Fleet(20, 1).vehicles
    vins = {v.vin for v in vehicles}
    assert len(vins) == 20
    assert all(check_digit(v) == v[8] for v in vins)
    mix = Counter(v.profile for v in vehicles)
    assert mix == {"demo_car": 10, "demo_ev": 5, "demo_truck": 5}
    assert {v.battery_chemistry for v in vehicles if v.profile == "demo_ev"} == {"NCM", "LFP"}
    assert len({v.plate for v in vehicles}) == 20


def test_network_covers_three_zones_with_units_on_duty() -> None:
    by_id = {s.station_id: s for s in stations()}
    assert len(by_id) == 6
    assert {s.zone for s in by_id.values()} == set(Zone)
    units = rescue_units()
    assert len(units) == 8
    assert {u.station_id for u in units} == set(by_id)
    for unit in units:
        home = by_id[unit.station_id]
        assert unit.on_duty
        (rider,) = trained_crew(unit)
        assert rider.station_id == unit.station_id
        kinds = {c.kind for c in rider.certificates or ()}
        assert kinds == ({"high_voltage"} if "hv" in unit.capabilities else set())
        assert abs(unit.latitude_deg - home.latitude_deg) < 0.05
        assert abs(unit.longitude_deg - home.longitude_deg) < 0.05


def test_maintenance_items_hold_one_due_soon_and_one_about_to_be_due() -> None:
    fleet = Fleet(20, 1, ["service_due"], 1_760_000_000 * 10**9)
    odometer = {m.vehicle.vin: m.odometer_km for m in fleet._models}
    left = {
        i.vin: i.interval_km - (odometer[i.vin] - i.base_odometer_km)
        for i in fleet.maintenance_items()
    }
    (due,) = [f.vin for f in fleet.seeded_faults()]
    assert 0 < left.pop(due) < 5
    assert [v for v in left.values() if v <= 500] == [350.0]
    assert all(v > 0 for v in left.values())

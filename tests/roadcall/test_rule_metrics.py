"""The worker says of each rule how many of its vehicles it is for."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import REGISTRY

from simulators.fleet import Fleet
from tests.roadcall.rig import Rig

START_NS = 1_760_000_000 * 10**9


def count(rule: str, standing: str) -> float | None:
    labels = {"rule": rule, "standing": standing}
    return REGISTRY.get_sample_value("roadcall_rule_vehicles", labels)


def test_vehicles_by_rule_and_standing(new_rig: Callable[[], Rig]) -> None:
    """Three cars or trucks and one electric car, as the fleet is made: profiles say which."""
    rig, fleet = new_rig(), Fleet(8, 1, (), START_NS)
    rig.register(*fleet.vehicles)
    rig.send(fleet.upload(0))
    rig.worker._processor.tick(START_NS)
    electric = sum(v.powertrain == "electric" for v in fleet.vehicles)
    assert 0 < electric < 8
    assert count("ev.insulation.low", "applicable") == electric
    assert count("ev.insulation.low", "not_applicable") == 8 - electric
    every = [count("ice.coolant.overtemp", s) for s in ("applicable", "not_applicable")]
    every.append(count("ice.coolant.overtemp", "signal_missing"))
    assert sum(n or 0 for n in every) == 8

"""History run again corrects what rules said of a vehicle, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from model.alerts import AlertState, AlertTransition, alert_id
from model.severity import Severity
from simulators.fleet import Fleet
from store import alerts
from store.database import transaction
from tests.roadcall.rig import Rig

S = 10**9
START_NS = 1_760_000_000 * S
OWN = """
["own.silent"]
domain = ["D10"]
query = "silent"
severity = 2
params = { moving_h = 1, stopped_h = 12, moving_kmh = 1, contact_h = 2 }
zh = "失联"
en = "Silent"
advice_zh = "查看"
advice_en = "Look"
source = "our own"
"""


def said(rule_id: str, vin: str) -> AlertTransition:
    """An open alert that began while the car drove."""
    at_ns = START_NS + 60 * S
    return AlertTransition(
        alert_id=alert_id(rule_id, vin, "", at_ns),
        rule_id=rule_id,
        rule_version=1,
        vin=vin,
        instance="",
        state=AlertState.FIRING,
        severity=Severity.REMIND,
        started_ns=at_ns,
        at_ns=at_ns,
        fired_ns=at_ns,
        worst_ns=at_ns,
    )


def test_alerts_of_scheduled_rules_are_left_alone(
    new_rig: Callable[[], Rig], tmp_path: Path
) -> None:
    """Built-in ones and an operator's; what a rule of the bundle did not say is taken back."""
    (tmp_path / "own.toml").write_text(OWN, "utf-8")
    rig, fleet = new_rig(), Fleet(1, 5, (), START_NS, rate=0.2)
    rig.settings = rig.settings.model_copy(update={"cohort_path": (tmp_path / "own.toml",)})
    rig.worker = rig.new_worker()
    rig.register(*fleet.vehicles)
    vin = fleet.vehicles[0].vin
    batches = [batch for n in range(30) for batch in fleet.upload(n)]
    rig.send([*batches[:5], *batches[6:]])
    names = ("fleet.silent", "own.silent", "ice.coolant.overtemp")
    with transaction(rig.pool) as conn:
        alerts.write(conn, [said(name, vin) for name in names])
    rig.send([batches[5]])  # four minutes late
    assert rig.rows("select rule_id, state from alert order by 1") == [
        ("fleet.silent", "firing"),
        ("ice.coolant.overtemp", "retracted"),
        ("own.silent", "firing"),
    ]

"""What a station hears of alerts: one message for one system of a vehicle, gathered and repeated.

The key counts the notices of the group and names no vehicle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from dispatch.templates import load_texts
from model.effects import OutboxRecord
from model.record import Record
from model.severity import Severity
from model.vehicle import Vehicle

#: Times in texts; machines read the facts, which are UTC.
LOCAL = ZoneInfo("Asia/Shanghai")


class GroupedAlert(Record):
    """One alert of a group."""

    alert_id: str
    rule_id: str
    instance: str
    severity: Severity
    fired_at: datetime
    occurrence: int


def system_of(rule_id: str) -> str:
    """What of the vehicle a rule is about: its id without the last word."""
    return rule_id.rpartition(".")[0]


def notice(
    vehicle: Vehicle,
    system: str,
    number: int,
    alerts: Sequence[GroupedAlert],
    titles: Mapping[str, Mapping[str, str]],
    key: str,
) -> OutboxRecord:
    """All that stands, the worst first, and what a storm folded is in its list too."""
    ranked = sorted(alerts, key=lambda a: (-a.severity, a.fired_at, a.alert_id))
    since = min(a.fired_at for a in alerts)
    facts: dict[str, object] = {
        "vin": vehicle.vin,
        "plate": vehicle.plate or vehicle.vin,
        "station_id": vehicle.preferred_station or None,
        "system": system,
        "severity": int(ranked[0].severity),
        "count": len(ranked),
        "number": number,
        "since": since.isoformat(),
        "since_local": f"{since.astimezone(LOCAL):%m-%d %H:%M}",
    }
    named = {
        f"titles_{language}": separator.join(
            dict.fromkeys(titles.get(a.rule_id, {}).get(language, a.rule_id) for a in ranked)
        )
        for language, separator in (("zh", "；"), ("en", "; "))
    }
    template = load_texts("alert_messages.toml")["alert.notice"]
    said = {lang: template[lang].format_map({**facts, **named}) for lang in ("zh", "en")}
    listed = [a.model_dump(mode="json") for a in ranked]
    return OutboxRecord(key=key, kind="alert.notice", body={**facts, **said, "alerts": listed})

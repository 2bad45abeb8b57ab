"""Who hears of what and when, and what a person reads. Pure."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, time

import pytest
from pydantic import ValidationError

from dispatch.notices import Directory, audience, moment, notice_of, notices, severity, words
from model.effects import OutboxRecord
from model.subscription import Channel, Language, Subscription

NOW = datetime(2025, 3, 3, 15, tzinfo=UTC)  # 23:00 in Shanghai
VIN = "LRDCALL0000000001"


def sub(name: str, audience: str = "station", **more: object) -> Subscription:
    facts = {
        "subscription_id": uuid.uuid5(uuid.NAMESPACE_DNS, name),
        "name": name,
        "audience": audience,
        "channel": Channel.APPRISE,
        "address": "json://127.0.0.1/",
    }
    return Subscription.model_validate(facts | more)


def message(kind: str = "maintenance.due", **body: object) -> OutboxRecord:
    return OutboxRecord("k", kind, {"zh": "保养", "en": "service"} | body)


ROWS = [
    sub("everybody"),
    sub("hz", station_id="hz"),
    sub("nb", station_id="nb"),
    sub("east", region_id="east"),
    sub("rescue only", kinds=("rescue.",)),
    sub("serious", min_severity=3),
    sub("off", active=False),
    sub("hq", "hq"),
    sub("owner", "owner", vin=VIN),
    sub("crm", "owner"),
]
DIRECTORY = Directory(ROWS, {"hz": "east", "nb": "north"})


def names(record: OutboxRecord) -> set[str]:
    return {row.name for row in DIRECTORY.wanting(record)}


def test_by_role_place_kind_and_severity() -> None:
    assert names(message(to="station", station_id="hz")) == {"everybody", "hz", "east"}
    assert names(message(to="station", station_id="nb")) == {"everybody", "nb"}
    assert names(message(to="station")) == {"everybody"}
    assert names(message("rescue.confirm", station_id="hz")) == {
        "everybody", "hz", "east", "rescue only", "serious",
    }  # fmt: skip
    assert names(message(to="station", severity=3)) == {"everybody", "serious"}
    assert names(message(to="station,hq", severity=0)) == {"everybody", "hq"}
    assert names(message(vin=VIN)) == {"owner", "crm"}
    assert names(message(vin="LRDCALL0000000002")) == {"crm"}


def test_who_reads_a_message_that_does_not_say() -> None:
    assert audience(message("rescue.offer")) == ("crew",)
    assert audience(message("rescue.offer", to=["hq", "region"])) == ("hq", "region")
    assert audience(message("never.heard.of")) == ("station",)
    assert severity(message("maintenance.due")) == 0
    assert severity(message("maintenance.due", severity=4)) == 4
    assert notice_of("rescue.no_unit").acknowledge


def test_quiet_hours_hold_back_only_what_is_not_urgent() -> None:
    quiet = sub("q", quiet_from=time(21), quiet_to=time(8))
    morning = datetime(2025, 3, 4, 0, tzinfo=UTC)
    assert moment(quiet, message(severity=2), NOW) == morning
    assert moment(quiet, message(severity=3), NOW) == NOW
    assert moment(sub("loud"), message(severity=0), NOW) == NOW


def test_the_readers_language() -> None:
    assert words(message(), Language.ZH) == ("保养提醒", "保养")
    assert words(message(), Language.EN) == ("Maintenance reminder", "service")
    assert words(message(), Language.BOTH) == ("保养提醒 Maintenance reminder", "保养\nservice")


def test_every_line_has_words_in_both_languages() -> None:
    assert all(n.zh and n.en.isascii() for n in notices())


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"station_id": "hz", "region_id": "east"}, "one of station_id"),
        ({"quiet_from": time(21)}, "go together"),
        ({"channel": "webhook"}, "needs a secret"),
        ({"time_zone": "Mars/Base"}, "no such time zone"),
        ({"audience": "Everyone!"}, "audience"),
    ],
)
def test_a_wrong_subscription_is_refused(facts: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        sub("x", **facts)


def test_an_address_is_not_in_the_text_of_a_subscription() -> None:
    row = sub("x", address="mailto://user:hunter2@example.com", secret="s3cret")
    assert "hunter2" not in repr(row) and "s3cret" not in repr(row)

"""Apprise against a real HTTP receiver; addresses that are not understood."""

from __future__ import annotations

import json
import logging

import pytest

from dispatch import apprise_channel
from dispatch.delivery import Outcome
from tests.receiver import receiving


def test_a_message_arrives_with_title_and_text() -> None:
    with receiving() as station:
        station.status = 200
        address = station.url.replace("http://", "json://")
        sent = apprise_channel.send(address, "保养提醒", "机油与机滤即将到期")
        assert (sent.outcome, sent.receipt) == (Outcome.SENT, "taken by the service")
        ((headers, body),) = station.seen
    said = json.loads(body)
    assert (said["title"], said["message"]) == ("保养提醒", "机油与机滤即将到期")
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("status", [400, 403, 500, 503])
def test_a_service_that_refuses_is_tried_again(status: int) -> None:
    with receiving() as station:
        station.status = status
        address = station.url.replace("http://", "json://")
        sent = apprise_channel.send(address, "t", "x")
        assert (sent.outcome, sent.error) == (Outcome.RETRY, "the service did not take it")


def test_nobody_there_is_tried_again_and_nothing_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    sent = apprise_channel.send("json://user:hunter2@127.0.0.1:1/x", "t", "secret text")
    assert sent.outcome is Outcome.RETRY
    assert "hunter2" not in caplog.text and "secret text" not in caplog.text


@pytest.mark.parametrize(
    "address", ["", "nonsense", "http://example.com", "dingtalk://", "dbus://", "mailto://"]
)
def test_what_is_no_address_is_dead_at_once(address: str) -> None:
    assert not apprise_channel.understood(address)
    assert apprise_channel.send(address, "t", "x").outcome is Outcome.DEAD


@pytest.mark.parametrize(
    "address",
    [
        "mailtos://user:secret@example.com",
        "wecombot://" + "a" * 36,
        "dingtalk://" + "a" * 64,
        "feishu://" + "a" * 36,
        "twilio://AC" + "a" * 32 + ":" + "b" * 32 + "@+8613800000000/+8613800000001",
    ],
)
def test_the_services_stations_use_are_known(address: str) -> None:
    assert apprise_channel.understood(address)

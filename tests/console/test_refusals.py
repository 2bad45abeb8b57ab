"""A refused step says why, in the reader's language."""

from __future__ import annotations

import pytest

from console.refusals import refusal
from console.text import Speech, load_texts
from model.alerts import Dismissal
from model.errors import TransitionError
from model.suppression import Mode


@pytest.mark.parametrize(
    ("why", "zh"),
    [
        ("it is too grave", "未能执行：告警级别太高，不能推迟"),
        ("skill level 3 is needed, the approver has 1", "未能执行：需要技能等级 3，审批人为 1"),
        ("the moon is full", "未能执行：the moon is full"),
    ],
)
def test_the_reason_is_told(why: str, zh: str) -> None:
    fault = TransitionError(noun="alert", state="new", step="snooze", why=why)
    assert refusal(Speech("zh"), fault) == zh
    assert refusal(Speech("en"), fault) == f"Not done: {why}"


def test_without_a_reason_the_state_is_told() -> None:
    fault = TransitionError(noun="rescue case", state="cancelled", step="arrive")
    assert "已取消" in refusal(Speech("zh"), fault)
    unknown = TransitionError(noun="vehicle", state="on the road", step="leave its mode")
    assert refusal(Speech("en"), unknown) == "Not done: the state has changed"


def test_every_choice_has_its_words() -> None:
    keys = load_texts().keys()
    assert keys >= {f"dismissal_{c}" for c in Dismissal} | {f"mode_{m}" for m in Mode}

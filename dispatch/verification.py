"""Whether a repair has held, judged from what the car says afterwards. Pure.

Only what was heard counts: a car that is silent, stands still or has not finished its monitors
proves nothing, so the repair waits for proof and a person may close it without.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from dispatch.work_terms import VerifyTerms
from model.record import Record


class Verdict(StrEnum):
    """What is known about a repair."""

    WAITING = "waiting"
    PASSED = "passed"
    FAILED = "failed"


class RepairFacts(Record):
    """What the stream says since the hand-over; times are the vehicle's."""

    handed_over_at: datetime
    handed_over_km: float | None
    #: Newest sample; None = nothing heard.
    heard_at: datetime | None = None
    odometer_km: float | None = None
    #: The fault, or its code, stands right now.
    fault_open: bool = False
    #: The fault was found again after the hand-over.
    returned_at: datetime | None = None
    #: None where the car does not tell.
    monitors_complete: bool | None = None


class Judgement(Record):
    """A verdict and the reason people read."""

    verdict: Verdict
    zh: str
    en: str


def judge(facts: RepairFacts, terms: VerifyTerms) -> Judgement:
    """Passed when the fault stayed away for the days and the distance, with complete monitors.

    A fault that was never seen to go away fails once the days are over.
    """
    if facts.returned_at is not None:
        return _say(Verdict.FAILED, "故障再次出现", "the fault came back")
    if facts.heard_at is None or facts.heard_at < facts.handed_over_at:
        return _say(Verdict.WAITING, "交车后尚无数据", "nothing heard since the hand-over")
    if facts.heard_at - facts.handed_over_at < timedelta(days=terms.days):
        return _say(Verdict.WAITING, f"未满 {terms.days:g} 天", f"less than {terms.days:g} days")
    if facts.fault_open:
        return _say(Verdict.FAILED, "故障仍然存在", "the fault is still there")
    if facts.odometer_km is None or facts.handed_over_km is None:
        return _say(Verdict.WAITING, "里程未知", "the distance is not known")
    if facts.odometer_km - facts.handed_over_km < terms.km:
        return _say(Verdict.WAITING, f"未满 {terms.km:g} 公里", f"less than {terms.km:g} km")
    if terms.monitors and facts.monitors_complete is False:
        return _say(Verdict.WAITING, "监测项目未完成", "the monitors are not complete")
    return _say(Verdict.PASSED, "故障未再出现", "the fault stayed away")


def _say(verdict: Verdict, zh: str, en: str) -> Judgement:
    return Judgement(verdict=verdict, zh=zh, en=en)

"""Fault episodes against expectations written by hand from the standards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from model.codes import (
    CodeProtocol,
    CodeReport,
    CodeScope,
    Dtc,
    EcuFact,
    FreezeFrame,
    Lamps,
    LampState,
)
from model.episodes import (
    WHOLE_VEHICLE,
    Episode,
    EpisodeKind,
    EpisodeState,
    FaultKey,
    RulePresence,
    Sign,
    SignKind,
)
from model.severity import Severity
from rules.episode_marks import Said, verdict
from rules.episodes import rule_episodes
from rules.sightings import facts_of
from tests.rules.reports import (
    DAY,
    HOUR,
    MIN,
    START,
    TRUCK,
    VIN,
    dm,
    drive,
    fold,
    folded,
    obd,
    pid_01,
    uds,
)

SUSPECT, ACTIVE, PASSIVE = EpisodeState.SUSPECT, EpisodeState.ACTIVE, EpisodeState.PASSIVE
HEALED, CLEARED = EpisodeState.HEALED, EpisodeState.CLEARED
VERIFIED, RECURRED = EpisodeState.VERIFIED, EpisodeState.RECURRED


def one(reports: Sequence[CodeReport], answers: Iterable[EcuFact] = ()) -> Episode:
    (episode,) = fold(reports, answers)
    return episode


# ISO 14229-1, status byte ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0x01, Said.FAILED),  # failed now, not yet pending
        (0x2F, Said.FAILED),  # failed, this cycle, pending, confirmed, since clear
        (0xAF, Said.FAILED),  # with the lamp
        (0x28, Said.STORED),  # confirmed, not failing, failed since clear: history
        (0x68, Said.STORED),  # the same, not tested this cycle
        (0x26, Said.SUSPECT),  # failed this cycle and pending, not now, not confirmed
        (0x04, Said.SUSPECT),
        (0x50, Said.ERASED),  # as after a clear: not tested since, not tested this cycle
        (0x40, Said.NOTE),  # no result this cycle
        (0x20, Said.PASSED),  # tested, passes, had failed since clear
        (0x00, Said.PROVEN),  # bits 0, 2, 3, 4, 5 all 0
    ],
)
def test_uds_status(status: int, said: Said) -> None:
    assert verdict(CodeProtocol.UDS, CodeScope.CONFIRMED, status) is said


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0b0110_0000, Said.FAILED),  # ISO 14230-3: stored and present
        (0b0100_0000, Said.SUSPECT),  # present, not stored yet
        (0b0010_0000, Said.STORED),  # stored, not present
        (0b0001_0000, Said.NOTE),  # not tested yet
        (0b0000_0000, Said.PASSED),
    ],
)
def test_kwp_status(status: int, said: Said) -> None:
    assert verdict(CodeProtocol.KWP, CodeScope.CONFIRMED, status) is said


def test_uds_life_from_pending_to_verified() -> None:
    reports = [uds(0, 0x26, CodeScope.PENDING)]
    assert one(reports).state is SUSPECT
    reports.append(uds(20 * MIN, 0x2F))
    assert one(reports).state is ACTIVE
    reports.append(uds(40 * MIN, 0x28))
    assert one(reports).state is PASSIVE
    reports.append(uds(60 * MIN, 0x50, CodeScope.SUPPORTED))
    assert one(reports).state is CLEARED
    reports.append(uds(80 * MIN, 0x00, CodeScope.SUPPORTED))
    end = one(reports)
    assert (end.state, end.count, end.repeat) == (VERIFIED, 1, 0)
    assert end.started_ns == START
    assert end.last_seen_ns == START + 40 * MIN
    assert end.ended_ns == START + 80 * MIN


def test_uds_returns_after_the_clear() -> None:
    cleared = [uds(0, 0x2F), uds(20 * MIN, 0x50, CodeScope.SUPPORTED)]
    soon = one([*cleared, uds(40 * MIN, 0x2F)])
    assert (soon.state, soon.repeat, soon.count) == (RECURRED, 1, 2)
    first, second = fold([*cleared, uds(20 * MIN + 25 * HOUR, 0x2F)])
    assert (first.state, second.state, second.repeat) == (CLEARED, RECURRED, 1)
    assert first.episode_id != second.episode_id


def test_uds_passed_status_heals_and_a_code_never_failed_is_no_episode() -> None:
    assert one([uds(0, 0x2F), uds(20 * MIN, 0x20, CodeScope.SUPPORTED)]).state is HEALED
    for status in (0x00, 0x40, 0x50, 0x20):
        assert fold([uds(0, status, CodeScope.SUPPORTED)]) == ()


def test_no_result_this_cycle_is_not_a_good_cycle() -> None:
    untested = [uds(0, 0x2F), *(uds(d * DAY, 0x68) for d in range(1, 6))]
    assert one(untested).state is PASSIVE
    tested = [uds(0, 0x2F), *(uds(d * DAY, 0x28) for d in range(1, 5))]
    assert one(tested).state is HEALED


# SAE J1939-73 ------------------------------------------------------------------------------------


def test_dm1_on_and_off_is_one_episode_that_counts() -> None:
    reports = drive(0, "110/3")
    assert one(reports).state is ACTIVE
    reports += drive(30 * MIN)
    off = one(reports)
    assert (off.state, off.count, off.last_seen_ns) == (PASSIVE, 1, START + 29 * MIN)
    reports += drive(60 * MIN, "110/3")
    on = one(reports)
    assert (on.state, on.count) == (ACTIVE, 2)
    assert on.episode_id == off.episode_id


def test_dm1_off_within_the_bucket_is_seen() -> None:
    assert one([dm(0, "110/3"), dm(MIN)]).state is PASSIVE
    assert one([dm(0, "110/3"), dm(MIN), dm(2 * MIN, "110/3")]).state is ACTIVE


def test_dm1_silence_says_nothing() -> None:
    reports = [*drive(0, "110/3"), *drive(5 * HOUR, "110/3")]
    episode = one(reports)
    assert (episode.state, episode.count) == (ACTIVE, 1)


def test_dm1_heals_when_the_third_good_cycle_is_over() -> None:
    reports = drive(0, "110/3")
    for n in range(1, 4):
        reports += drive(n * HOUR)
        assert one(reports).state is PASSIVE
    reports += drive(4 * HOUR)
    healed = one(reports)
    assert healed.state is HEALED
    assert healed.ended_ns == START + 3 * HOUR + 30 * MIN  # the third ends at its last bucket


def test_a_silence_of_ten_minutes_does_not_yet_end_a_cycle() -> None:
    reports = drive(0, "110/3")
    for n in range(1, 9):
        reports += drive(n * 39 * MIN)  # from 0:29 to 0:39
    assert one(reports).state is PASSIVE


def test_a_day_decides_whether_an_episode_comes_back() -> None:
    reports = drive(0, "110/3")
    for n in range(1, 5):
        reports += drive(n * HOUR)
    ended_ns = 3 * HOUR + 30 * MIN
    back = one([*reports, dm(ended_ns + DAY, "110/3")])
    assert (back.state, back.count, back.repeat, back.ended_ns) == (ACTIVE, 2, 0, None)
    first, second = fold([*reports, dm(ended_ns + DAY + 1, "110/3")])
    assert (first.state, first.count, second.state, second.count) == (HEALED, 1, ACTIVE, 1)


def test_dm2_is_passive_dm6_suspect_dm12_alone_is_active() -> None:
    assert one([dm(0, "110/3", scope=CodeScope.PREVIOUS)]).state is PASSIVE
    assert one([dm(0, "110/3", scope=CodeScope.PENDING)]).state is SUSPECT
    assert one([dm(0, "110/3", scope=CodeScope.EMISSION)]).state is ACTIVE


def test_a_code_missing_from_dm12_is_still_there_when_dm1_names_it() -> None:
    reports = drive(0, "110/3")
    reports += [dm(m * MIN, scope=CodeScope.EMISSION) for m in range(30)]
    episode = one(reports)
    assert (episode.state, episode.count) == (ACTIVE, 1)


def test_each_fmi_is_a_fault_of_its_own() -> None:
    facts = facts_of([dm(0, "110/3", "110/4")])
    assert {s.key.code for s in facts.sightings} == {"110/3", "110/4"}


@pytest.mark.parametrize(
    ("fmi", "severity"),
    [(0, 3), (1, 3), (15, 1), (16, 2), (17, 1), (18, 2), (14, 0), (31, 0)],
)
def test_fmi_grades_the_fault(fmi: int, severity: int) -> None:
    assert one([dm(0, f"520192/{fmi}")]).severity == severity


def test_the_lamp_grades_the_only_code() -> None:
    off = LampState.OFF
    red = Lamps(mil=off, red_stop=LampState.ON, amber_warning=off, protect=off)
    assert one([dm(0, "520192/3", lamps=red)]).severity is Severity.STOP
    assert one([dm(0, "520192/3")]).severity is Severity.UNKNOWN
    for sighting in facts_of([dm(0, "520192/3", "520193/3", lamps=red)]).sightings:
        assert sighting.lamp is Severity.UNKNOWN


# SAE J1979 ---------------------------------------------------------------------------------------


def test_obd_pending_then_confirmed_then_gone() -> None:
    reports = [obd(0, CodeScope.CONFIRMED), obd(0, CodeScope.PENDING, "P0301")]
    assert one(reports).state is SUSPECT
    reports += [obd(DAY, CodeScope.CONFIRMED, "P0301"), obd(DAY, CodeScope.PENDING, "P0301")]
    assert one(reports).state is ACTIVE
    reports += [obd(2 * DAY, CodeScope.PENDING)]
    assert one(reports).state is ACTIVE  # only service 03 says what is confirmed
    reports += [obd(2 * DAY, CodeScope.CONFIRMED)]
    assert one(reports).state is PASSIVE


def test_readiness_that_was_reset_means_cleared_and_complete_means_verified() -> None:
    reports = [obd(0, CodeScope.CONFIRMED, "P0301")]
    complete, reset = bytes([0x81, 0x07, 0x65, 0x00]), bytes([0x00, 0x07, 0x65, 0x65])
    partial, done = bytes([0x00, 0x07, 0x65, 0x24]), bytes([0x00, 0x07, 0x65, 0x00])
    answers = [pid_01(0, complete)]
    assert one(reports, answers).state is ACTIVE
    answers.append(pid_01(HOUR, reset))
    assert one(reports, answers).state is CLEARED
    answers += [pid_01(2 * HOUR, reset), pid_01(3 * HOUR, partial)]
    assert one(reports, answers).state is CLEARED
    answers.append(pid_01(4 * HOUR, done))
    assert one(reports, answers).state is VERIFIED


def test_a_permanent_code_proves_that_it_is_not_repaired() -> None:
    answers = [
        pid_01(HOUR, bytes([0x00, 0x07, 0x65, 0x65])),
        pid_01(4 * HOUR, bytes([0x00, 0x07, 0x65, 0x00])),
    ]
    reports = [
        obd(0, CodeScope.CONFIRMED, "P0301"),
        obd(2 * HOUR, CodeScope.CONFIRMED),
        obd(2 * HOUR, CodeScope.PERMANENT, "P0301"),
    ]
    assert one(reports, answers).state is CLEARED
    reports.append(obd(3 * HOUR, CodeScope.PERMANENT))
    assert one(reports, answers).state is VERIFIED


def test_a_person_clears() -> None:
    facts = facts_of([*drive(0, "110/3"), *drive(HOUR)])
    sign = Sign(WHOLE_VEHICLE, "", SignKind.CLEARED, START + 2 * HOUR)
    (cleared,) = folded(facts, sign)
    assert (cleared.state, cleared.ended_ns) == (CLEARED, START + 2 * HOUR)
    later = facts_of([*drive(0, "110/3"), *(r for n in range(3, 7) for r in drive(n * HOUR))])
    (verified,) = folded(later, sign)
    assert verified.state is VERIFIED  # three good cycles are proof enough where no monitor speaks
    again = facts_of([*drive(0, "110/3"), *drive(3 * HOUR, "110/3")])
    (returned,) = folded(again, sign)
    assert (returned.state, returned.repeat) == (RECURRED, 1)


def test_the_earliest_freeze_frame_is_kept() -> None:
    def frozen(at_ns: int, number: int) -> CodeReport:
        frame = FreezeFrame(number, ((190, b"\x10\x20"),))
        dtc = Dtc(CodeProtocol.J1939, TRUCK, "110/3", freeze_frames=(frame,))
        return CodeReport(
            START + at_ns, 0, TRUCK, CodeProtocol.J1939, CodeScope.FREEZE_FRAME, (dtc,)
        )

    assert fold([frozen(0, 1)]) == ()
    episode = one([dm(0, "110/3"), frozen(2 * MIN, 2), frozen(MIN, 1)])
    assert episode.freeze_frames == '[[1,[[190,"1020"]]]]'


# Rules -------------------------------------------------------------------------------------------


def test_alerts_of_a_rule_within_a_day_are_one_episode() -> None:
    key = FaultKey.of_rule("ice.coolant.overtemp", "")
    assert key.kind is EpisodeKind.RULE
    first = RulePresence(START, START + HOUR, START + HOUR, Severity.VISIT_SOON)
    again = RulePresence(START + 2 * HOUR, START + 2 * HOUR, None, Severity.STOP)
    (healed,) = rule_episodes(VIN, key, [first], [])
    assert (healed.state, healed.ended_ns) == (HEALED, START + HOUR)
    assert healed.last_seen_ns == START + HOUR
    (open_,) = rule_episodes(VIN, key, [again, first], [])
    assert (open_.state, open_.count, open_.severity) == (ACTIVE, 2, Severity.STOP)
    late = RulePresence(START + 2 * DAY, START + 2 * DAY, None, Severity.STOP)
    assert len(rule_episodes(VIN, key, [first, late], [])) == 2
    assert rule_episodes(VIN, key, [], []) == ()

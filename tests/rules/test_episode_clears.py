"""What an ECU says it cleared ends episodes, and what comes back after it has recurred."""

from __future__ import annotations

import pytest

from model.code_clears import DM3, DM11, OBD_GROUP, UNKNOWN_GROUP
from model.codes import CodeProtocol, CodeReport, CodeScope, Dtc, EcuFact
from model.episodes import EpisodeState
from tests.rules.reports import (
    DAY,
    HOUR,
    MIN,
    START,
    cleared,
    dm,
    drive,
    fold,
    obd,
    pid_01,
    uds,
    uds_empty,
)

J1939, OBD, UDS, KWP = CodeProtocol.J1939, CodeProtocol.OBD, CodeProtocol.UDS, CodeProtocol.KWP
ACTIVE, PASSIVE = EpisodeState.ACTIVE, EpisodeState.PASSIVE
CLEARED, VERIFIED = EpisodeState.CLEARED, EpisodeState.VERIFIED
RECURRED = EpisodeState.RECURRED
CONFIRMED = obd(0, CodeScope.CONFIRMED, "P0301")
NO_CODES = obd(2 * HOUR, CodeScope.CONFIRMED)
FAILS = uds(0, 0x2F)
LIVE = drive(0, "110/3")
OVER = [*LIVE, *drive(HOUR)]


@pytest.mark.parametrize(
    ("reports", "answer", "state"),
    [
        ([CONFIRMED], cleared(HOUR, OBD, OBD_GROUP), CLEARED),
        ([CONFIRMED, NO_CODES], cleared(HOUR, OBD, OBD_GROUP), CLEARED),
        ([CONFIRMED], cleared(HOUR, UDS, 0xFFFFFF), ACTIVE),  # another protocol's codes
        ([FAILS], cleared(HOUR, UDS, 0xFFFFFF), CLEARED),
        ([FAILS], cleared(HOUR, UDS, 0x021744), CLEARED),
        ([FAILS], cleared(HOUR, UDS, 0x021700), ACTIVE),  # another failure type
        ([FAILS], cleared(HOUR, UDS, 0xFFFF33), ACTIVE),  # only the ECU knows what is in it
        ([FAILS], cleared(HOUR, UDS, UNKNOWN_GROUP), ACTIVE),
        ([FAILS], cleared(HOUR, OBD, OBD_GROUP), ACTIVE),
        (LIVE, cleared(HOUR, J1939, DM11), CLEARED),
        (LIVE, cleared(HOUR, J1939, DM3), ACTIVE),  # is not previously active
        (OVER, cleared(2 * HOUR, J1939, DM3), CLEARED),
        (OVER, cleared(2 * HOUR, J1939, DM11), PASSIVE),  # is not active
        (LIVE, cleared(-HOUR, J1939, DM11), ACTIVE),  # before the code appeared
    ],
)
def test_which_episodes(reports: list[CodeReport], answer: EcuFact, state: EpisodeState) -> None:
    (episode,) = fold(reports, [answer])
    assert episode.state is state
    if state is CLEARED:
        assert episode.ended_ns == answer.observed_ns


def test_back_at_once() -> None:
    """Within the same ten minutes the order of code, clear and code still shows."""
    story = [dm(n * MIN, "110/3") for n in range(5)]
    clear = cleared(2 * MIN + 1, J1939, DM11)
    (episode,) = fold(story, [clear])
    assert (episode.state, episode.repeat) == (RECURRED, 1)
    (episode,) = fold(story[:3], [clear])
    assert (episode.state, episode.ended_ns) == (CLEARED, START + 2 * MIN + 1)


def test_cleared_twice_in_ten_minutes() -> None:
    """Cleared, back, cleared for good: the second counts too."""
    story = [dm(0, "110/3"), dm(3 * MIN, "110/3"), dm(5 * MIN)]
    clears = [cleared(at, J1939, DM11) for at in (2 * MIN, 4 * MIN)]
    (episode,) = fold(story, clears)
    assert (episode.state, episode.ended_ns) == (CLEARED, START + 4 * MIN)
    assert (episode.repeat, episode.count) == (1, 2)


def test_verified_by_monitors_and_by_good_cycles() -> None:
    clear = cleared(HOUR, OBD, OBD_GROUP)
    (episode,) = fold([CONFIRMED, NO_CODES], [clear, pid_01(4 * HOUR, b"\x00\x07\x65\x00")])
    assert episode.state is VERIFIED
    quiet = [uds_empty(n * 6 * HOUR) for n in range(1, 6)]
    (episode,) = fold([FAILS, *quiet], [cleared(HOUR, UDS, 0xFFFFFF)])
    assert episode.state is VERIFIED


def test_after_a_day_a_new_episode_that_recurred() -> None:
    clear = cleared(HOUR, UDS, 0xFFFFFF)
    first, again = fold([FAILS, uds(3 * DAY, 0x2F)], [clear])
    assert (first.state, first.ended_ns) == (CLEARED, START + HOUR)
    assert (again.state, again.repeat) == (RECURRED, 1)


def test_kwp_codes_of_one_system() -> None:
    codes = (Dtc(KWP, 0x7E8, "P0217", status=0xE1),)
    kwp = CodeReport(START, 0, 0x7E8, KWP, CodeScope.CONFIRMED, codes)
    assert fold([kwp], [cleared(HOUR, KWP, 0x4000)])[0].state is ACTIVE
    assert fold([kwp], [cleared(HOUR, KWP, 0x0000)])[0].state is CLEARED
    assert fold([kwp], [cleared(HOUR, KWP, 0xFF00)])[0].state is CLEARED

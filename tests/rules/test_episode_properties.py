"""Fault episodes of any reports, in any order, cut anywhere."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from model.codes import CodeProtocol, CodeReport, CodeScope, EcuFact
from model.episodes import BUCKET_NS
from rules.sightings import (
    Facts,
    facts_of,
    merged_clears,
    merged_heard,
    merged_sightings,
    merged_signs,
)
from tests.rules.reports import cleared, fold, folded, pid_01, uds, uds_empty

MOMENTS = st.integers(0, 6 * 144).map(lambda n: n * BUCKET_NS // 3)
STATUS = st.sampled_from([0x01, 0x2F, 0x28, 0x26, 0x50, 0x40, 0x20, 0x00])
REPORTS = st.one_of(
    st.builds(uds, MOMENTS, STATUS, st.sampled_from([CodeScope.CONFIRMED, CodeScope.SUPPORTED])),
    st.builds(uds_empty, MOMENTS),
)
ANSWERS = st.builds(
    pid_01,
    MOMENTS,
    st.sampled_from([b"\x00\x07\x65\x65", b"\x00\x07\x65\x24", b"\x00\x07\x65\x00"]),
) | st.builds(
    cleared, MOMENTS, st.just(CodeProtocol.UDS), st.sampled_from([0xFFFFFF, 0x021744, 0x021700])
)


@settings(max_examples=300)
@given(
    reports=st.lists(REPORTS, min_size=1, max_size=24),
    answers=st.lists(ANSWERS, max_size=4),
    draws=st.data(),
)
def test_any_order_and_any_cut_give_the_same_episodes(
    reports: list[CodeReport], answers: list[EcuFact], draws: st.DataObject
) -> None:
    whole = facts_of(reports, answers)
    mixed = draws.draw(st.permutations(reports))
    cuts = sorted(draws.draw(st.lists(st.integers(0, len(mixed)), max_size=4)))
    bounds = list(zip([0, *cuts], [*cuts, len(mixed)], strict=True))
    told = draws.draw(st.permutations(answers))
    parts = [facts_of(mixed[a:b], told[i:] + told[:1]) for i, (a, b) in enumerate(bounds)]
    parts.append(facts_of((), answers))
    merged = Facts(
        merged_sightings(s for p in reversed(parts) for s in p.sightings),
        merged_heard(h for p in reversed(parts) for h in p.heard),
        merged_signs(s for p in parts for s in p.signs),
        merged_clears(c for p in parts for c in p.clears),
    )
    assert set(merged.sightings) == set(whole.sightings)
    assert set(merged.heard) == set(whole.heard)
    assert set(merged.clears) == set(whole.clears)
    assert folded(merged) == folded(whole)


@settings(max_examples=300)
@given(reports=st.lists(REPORTS, min_size=1, max_size=24), answers=st.lists(ANSWERS, max_size=4))
def test_what_always_holds(reports: list[CodeReport], answers: list[EcuFact]) -> None:
    found = fold(reports, answers)
    assert sum(e.is_open for e in found) <= 1
    assert all(not e.is_open for e in found[:-1])
    for e in found:
        assert e.started_ns <= e.last_seen_ns
        assert e.started_ns <= e.since_ns
        assert (e.ended_ns is None) == e.is_open
        assert e.repeat < e.count + sum(x.count for x in found)
    assert [e.started_ns for e in found] == sorted(e.started_ns for e in found)

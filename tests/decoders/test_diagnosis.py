"""Who is heard, which request an answer belongs to, and that batches change nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbc.profile import load_profile
from decoders.answers import Heard
from decoders.decode import Decoder, Tails
from decoders.diagnosis import MAX_REQUESTS, PATIENCE_NS, Requests
from decoders.iso15765_addresses import AddressBook, Link
from decoders.j1979_pids import PID_BYTES
from decoders.listening import Listening
from decoders.plan import compile_plan
from model.codes import CodeReport, EcuFact, FactKind
from model.frames import FrameBatch
from model.signals import FrameStatus, Quality
from tests.decoders.build import Frame, make_batch, plan_of, read_candump, values_of
from tests.decoders.diagnosis_build import MS, VIN, frames_of, hear, hear_batch, iso_tp

J1979 = compile_plan(load_profile("j1979"))
CODES = bytes.fromhex("59020902174408")
ASK = bytes.fromhex("190208")
FIXED = 0x98DAF100


def named(heard: Heard) -> list[tuple[int, str, list[str]]]:
    return [(r.ecu, r.scope, [c.code for c in r.codes]) for r in heard.reports]


@pytest.mark.parametrize("can_id", [*range(0x7E8, 0x7F0), FIXED | 0x10, FIXED | 0x55])
def test_obd_answers_need_no_request(can_id: int) -> None:
    ecu = can_id & 0xFF if can_id > 0x7FF else can_id
    assert named(hear(frames_of(can_id, CODES))) == [(ecu, "confirmed", ["P0217"])]


@pytest.mark.parametrize(
    "can_id", [0x100, 0x6FF, 0x708, 0x7DE, 0x7F0, 0x7FF, 0x98DA1020, 0x98FEF100]
)
def test_other_identifiers_are_ordinary_until_asked(can_id: int) -> None:
    for payload in (CODES, b"\x43\x01\x02\x17", b"\x7f\x19\x11", b"\x62\xf1\x90" + bytes(17)):
        heard = hear(frames_of(can_id, payload))
        assert not heard.reports
        assert not heard.facts


@pytest.mark.parametrize(
    ("asked_on", "answered_on"),
    [
        (0x700, 0x708),
        (0x7DF, 0x7BB),
        (0x7DF, 0x700),
        (0x98DB33FA, 0x98DAFA21),
        (0x98DA21FA, 0x98DAFA21),
    ],
)
def test_an_answer_to_a_request_counts(asked_on: int, answered_on: int) -> None:
    ecu = answered_on & 0xFF if answered_on > 0x7FF else answered_on
    frames = frames_of(asked_on, ASK) + frames_of(answered_on, CODES)
    assert named(hear(frames)) == [(ecu, "confirmed", ["P0217"])]


def test_a_request_is_for_its_service_ecu_and_bus_and_for_five_seconds() -> None:
    ask = frames_of(0x700, ASK)
    assert named(hear(ask + frames_of(0x709, CODES))) == []
    assert named(hear(frames_of(0x700, b"\x18\x00\xff\x00") + frames_of(0x708, CODES))) == []
    in_time = hear(ask + frames_of(0x708, CODES), gap_ns=PATIENCE_NS)
    assert len(in_time.reports) == 1
    late = hear(ask + frames_of(0x708, CODES), gap_ns=PATIENCE_NS + 1)
    assert not late.reports
    batch = make_batch(ask + frames_of(0x708, CODES))
    batch.bus[:] = [0, 1]
    assert not hear_batch(batch, Listening()).reports


def test_response_pending_gives_the_ecu_more_time() -> None:
    wait = frames_of(0x708, b"\x7f\x19\x78")
    frames = frames_of(0x7DF, ASK) + wait + wait + frames_of(0x708, CODES)
    heard = hear(frames, gap_ns=PATIENCE_NS - MS)
    assert [f.text for f in heard.facts] == ["request received, response pending"] * 2
    assert len(heard.reports) == 1


def test_what_a_dbc_file_describes_is_ordinary() -> None:
    frames = frames_of(0x700, ASK) + frames_of(0x708, CODES)
    assert named(hear(frames, ordinary=[0x708])) == []
    plan = plan_of('BO_ 1800 A: 8 X\n SG_ B : 0|8@1+ (1,0) [0|0] "" X\n')
    assert Decoder(plan).decode(make_batch(frames), Tails()).reports == ()
    # OBD identifiers are diagnosis whatever a file says.
    assert len(hear(frames_of(0x7E8, CODES), ordinary=[0x7E8]).reports) == 1


def test_ordinary_messages_leave_nothing_to_remember() -> None:
    """Whatever their bytes look like: no messages on their way, no requests but real ones."""
    frames = [(0x708 + k % 64, bytes([0x10 | k % 3, 20, 0x59, k % 256] * 2)) for k in range(500)]
    batch = make_batch(frames, range(0, 500 * MS, MS))
    status = np.full(500, FrameStatus.UNKNOWN_ID, np.uint8)
    heard, tails = Listening().listen(batch, Tails(), status)
    assert (heard.reports, heard.facts, tails) == ([], [], Tails())
    assert set(status.tolist()) == {FrameStatus.UNKNOWN_ID}


def test_links_name_other_identifiers_and_extended_addressing() -> None:
    links = [Link(0x6F1, 0x612, addressed=True), Link(0x18ABCDEF | 1 << 31, 0x4C8)]
    long = bytes.fromhex("590208") + bytes.fromhex("02174408") * 4
    frames: list[Frame] = [(0x612, f) for f in iso_tp(long, address=0xF1)]
    frames += frames_of(0x4C8, b"\x43\x01\x03\x01")
    assert named(hear(frames, links=links)) == [
        (0x612F1, "confirmed", ["P0217"] * 4),
        (0x4C8, "confirmed", ["P0301"]),
    ]
    assert named(hear(frames)) == []


def test_mixed_addressing_on_29_bits() -> None:
    frames = [(0x98CEF120, f) for f in iso_tp(CODES * 1, address=0x03)]
    assert named(hear(frames)) == [(0x2003, "confirmed", ["P0217"])]


def test_requests_are_bounded() -> None:
    requests = Requests()
    for ecu in range(MAX_REQUESTS + 3):
        requests.note(ecu, (0, ecu, 0x19), ASK)
    assert len(requests.asked) == MAX_REQUESTS
    again = Requests.from_memory(json.loads(json.dumps(requests.to_memory())))
    assert again.asked == requests.asked
    requests.expire(PATIENCE_NS + MAX_REQUESTS + 3)
    assert requests.to_memory() == []


def test_a_real_scan(samples: Callable[[str], Path]) -> None:
    """Every answer that udsoncan read in it, from every ECU, and nothing else."""
    sample = samples("obd-uds-kona-scan")
    expected = json.loads((sample / "expected_dtcs.json").read_text())
    heard = hear_batch(read_candump(sample / "candump.log"), Listening())
    said: dict[tuple[int, int], set[tuple[str, int | None]]] = {}
    for report in heard.reports:
        of = said.setdefault((report.observed_ns, report.ecu), set())
        of |= {(f"{c.code}-{c.failure_type or 0:02X}", c.status) for c in report.codes}
    refused = {
        (f.observed_ns, f.ecu): (f"{f.identifier:02X}", f.content.hex()) for f in heard.facts
    }
    for row in expected:
        key = (round(row["t"] * 10_000) * 100_000, int(row["can_id"], 16))
        if row["service"] == "negative response":
            assert refused.pop(key) == (row["request_service"], row["code"])
        else:
            assert said.pop(key) == {(d["text"], d["status"]) for d in row["dtcs"]}
    assert (said, refused) == ({}, {})
    assert Counter(r.protocol for r in heard.reports if r.codes) == {"uds": 14}


def answer_pids(*pids: tuple[int, str]) -> bytes:
    return b"\x41" + b"".join(bytes([pid]) + bytes.fromhex(value) for pid, value in pids)


def test_several_pids_in_one_answer_are_all_decoded() -> None:
    frames = [
        *frames_of(0x7E8, answer_pids((0x0D, "3C"), (0x05, "7B"))),
        *frames_of(0x7E9, answer_pids((0x0C, "1AF8"), (0x0D, "50"), (0x2F, "FF"), (0x42, "3039"))),
    ]
    batch = make_batch(frames, range(0, len(frames) * MS, MS))
    decoded = Decoder(J1979).decode(batch, Tails())
    good = values_of(decoded.signals, Quality.GOOD)
    assert good["speed_kmh"] == {0: [60.0], 1: [80.0]}
    assert good["engine_coolant_temp_c"] == {0: [83.0]}
    assert good["engine_speed_rpm"] == {1: [1726.0]}
    assert good["battery_voltage_v"] == {1: [pytest.approx(12.345)]}
    assert decoded.signals.frame_status.tolist() == [FrameStatus.OK] * len(frames)


def test_single_answers_do_not_pass_through_python_twice() -> None:
    """Many of them: the kernel reads them, and the result is the same as one by one."""
    frames = [frames_of(0x7E8 + k % 3, answer_pids((0x0D, f"{k:02X}")))[0] for k in range(90)]
    frames[40:40] = frames_of(0x7E9, answer_pids((0x0C, "1AF8"), (0x0D, "50"), (0x04, "80")))
    decoder = Decoder(J1979)
    batch = make_batch(frames, range(0, len(frames) * MS, MS))
    whole = decoder.decode(batch, Tails()).signals
    assert whole.frame_status.tolist() == [FrameStatus.OK] * len(frames)
    speeds: dict[int, list[float]] = {}
    tails = Tails()
    for row in range(len(frames)):
        part = decoder.decode(batch.take(np.array([row])), tails)
        tails = part.tails
        for source, values in values_of(part.signals).get("speed_kmh", {}).items():
            speeds.setdefault(source, []).extend(values)
    assert values_of(whole)["speed_kmh"] == speeds


def test_sizes_of_pids_agree_with_our_dbc_file() -> None:
    """Every signal of a PID lies within the bytes that the PID has."""
    sizes = {}
    for pid in range(256):
        if PID_BYTES[pid] > 60:
            continue
        frame = bytes([3 + 4, 0x41, pid]) + bytes(5)
        full = Decoder(J1979).decode(make_batch([(0x7E8, frame)]), Tails()).signals
        stated = bytes([2 + PID_BYTES[pid].item()]) + frame[1:] if PID_BYTES[pid] <= 5 else frame
        cut = Decoder(J1979).decode(make_batch([(0x7E8, stated)]), Tails()).signals
        sizes[pid] = (sorted(values_of(full)), sorted(values_of(cut)))
    assert all(full == cut for full, cut in sizes.values())


# --- batches ---------------------------------------------------------------------------------

MESSAGES = st.sampled_from(
    [
        (0x7DF, ASK),
        (0x7E0, bytes.fromhex("1902FF")),
        (0x700, ASK),
        (0x708, CODES),
        (0x7E8, bytes.fromhex("590209") + bytes.fromhex("02174409") * 5),
        (0x7BB, bytes.fromhex("590209") + bytes.fromhex("C1008708") * 7),
        (0x7E9, b"\x49\x02\x01" + VIN.encode()),
        (0x7E9, b"\x43\x02\x02\x17\x01\x43"),
        (0x7EA, answer_pids((0x0C, "1AF8"), (0x0D, "50"), (0x04, "80"))),
        (0x7EA, answer_pids((0x0D, "50"))),
        (0x7EB, b"\x7f\x19\x78"),
        (FIXED | 0x10, b"\x47\x01\x03\x01"),
    ]
)


@st.composite
def logs(draw: st.DrawFn) -> FrameBatch:
    """Several messages under way at once, some frames lost."""
    waiting: list[list[Frame]] = []
    frames: list[Frame] = []
    for message in draw(st.lists(MESSAGES, max_size=25)):
        busy = {queue[0][0] for queue in waiting}
        if message[0] not in busy:
            waiting.append(frames_of(*message))
        for _ in range(draw(st.integers(0, 4))):
            if waiting:
                queue = draw(st.sampled_from(waiting))
                frame = queue.pop(0)
                if draw(st.integers(0, 19)):
                    frames.append(frame)
                waiting = [q for q in waiting if q]
    gaps = draw(
        st.lists(st.sampled_from([1, 50, 600, 2000]), min_size=len(frames), max_size=len(frames))
    )
    return make_batch(frames, (np.cumsum([0, *gaps])[:-1] * MS)[: len(frames)].tolist())


@settings(max_examples=60)
@given(logs(), st.data())
def test_results_do_not_depend_on_batches(batch: FrameBatch, pick: st.DataObject) -> None:
    decoder = Decoder(J1979)
    whole = decoder.decode(batch, Tails())
    size = pick.draw(st.integers(1, 12))
    tails, status = Tails(), list[int]()
    reports, facts = list[CodeReport](), list[EcuFact]()
    values: Counter[tuple[str, int, float]] = Counter()
    for low in range(0, len(batch), size):
        tails = Tails.from_memory(json.loads(json.dumps(tails.to_memory())))
        part = decoder.decode(batch.take(np.arange(low, min(low + size, len(batch)))), tails)
        tails = part.tails
        reports += part.reports
        facts += part.facts
        status += part.signals.frame_status.tolist()
        for name, sources in values_of(part.signals).items():
            values.update((name, s, v) for s, found in sources.items() for v in found)
    assert tuple(reports) == whole.reports
    assert tuple(facts) == whole.facts
    assert status == whole.signals.frame_status.tolist()
    assert values == Counter(
        (name, s, v)
        for name, sources in values_of(whole.signals).items()
        for s, found in sources.items()
        for v in found
    )


IDS = st.sampled_from(
    [0x7DF, 0x7E0, 0x7E8, 0x7EA, 0x700, 0x708, 0x7FF, FIXED | 1, 0x98DB33F1, 0x98CEF120]
) | st.integers(0, 0xFFFF_FFFF)


@given(st.lists(st.tuples(IDS, st.binary(max_size=8)), max_size=40))
def test_any_frames_are_taken(frames: list[Frame]) -> None:
    decoded = Decoder(J1979).decode(make_batch(frames), Tails())
    assert len(decoded.signals.frame_status) == len(frames)
    assert Tails.from_memory(json.loads(json.dumps(decoded.tails.to_memory()))) == decoded.tails


@given(st.binary(min_size=1, max_size=120))
def test_any_answer_is_taken(payload: bytes) -> None:
    for service in (0x41, 0x42, 0x43, 0x46, 0x47, 0x49, 0x4A, 0x58, 0x59, 0x62, 0x7F):
        heard = hear(frames_of(0x7E8, bytes([service]) + payload))
        assert all(fact.kind in FactKind for fact in heard.facts)
        if service == 0x59:
            for kind in range(0x16):
                hear(frames_of(0x7E8, bytes([service, kind]) + payload))
            hear(frames_of(0x7E8, bytes([service, 0x42]) + payload))


@given(st.lists(st.integers(0, 0xFFFF_FFFF), max_size=200), st.booleans())
def test_the_fast_choice_misses_nothing(can_ids: list[int], linked: bool) -> None:
    """Against the table, identifier by identifier."""
    links = [Link(0x123, 0x124)] if linked else []
    book = AddressBook(links, ordinary=[0x750])
    ids = np.array([*can_ids, 0x123, 0x750, 0x7E8, 0x98DA10F1, 0xB8DA10F1, 0x98CDFFF1], np.uint32)
    chosen = set(np.flatnonzero(book.carriers(ids)).tolist())
    assert chosen >= set(book.linked(ids).tolist())
    for row, can_id in enumerate(ids.tolist()):
        standard = 0x700 <= can_id <= 0x7FF and can_id != 0x750
        kind = can_id >> 16 & 0xE3FF
        fixed = kind in (0x80DA, 0x80DB, 0x80CD, 0x80CE)
        assert (row in chosen) == (standard or fixed or (linked and can_id in (0x123, 0x124)))

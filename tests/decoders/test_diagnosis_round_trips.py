"""Encode, cut into frames, listen: every service gives back what was put in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.answers import Heard, Origin
from decoders.iso14229_did import DataIdentifier
from decoders.iso14229_did import decode as decode_dids
from decoders.iso14229_refusal import NAMES
from decoders.iso14229_severity import emission_class, level
from decoders.j1979_pids import PID_BYTES, divide
from decoders.j1979_readiness import decode_dm5, decode_pid_01
from model.codes import CodeReport, FactKind
from model.errors import TruncatedFrameError
from model.severity import Severity
from tests.decoders.diagnosis_build import VIN, frames_of, hear, two_bytes

CODES = st.builds(
    "{}{}{:03X}".format, st.sampled_from("PCBU"), st.integers(0, 3), st.integers(0, 0xFFF)
).filter(lambda text: text != "P0000")
BYTES = st.integers(0, 255)
ROWS = st.lists(st.tuples(CODES, BYTES, BYTES), max_size=40)
UDS = 0x59


def answer(payload: bytes, request: bytes = b"") -> Heard:
    asked = frames_of(0x7E0, request) if request else []
    return hear([*asked, *frames_of(0x7E8, payload)])


def rows_of(report: CodeReport) -> list[tuple[str, int | None, int | None]]:
    return [(c.code, c.failure_type, c.status) for c in report.codes]


def encoded(rows: list[tuple[str, int, int]]) -> bytes:
    return b"".join(two_bytes(code) + bytes([failure, status]) for code, failure, status in rows)


@given(
    st.sampled_from([(0x43, "confirmed"), (0x47, "pending"), (0x4A, "permanent")]),
    st.lists(CODES, max_size=255),
)
def test_obd_lists(service: tuple[int, str], codes: list[str]) -> None:
    payload = bytes([service[0], len(codes)]) + b"".join(map(two_bytes, codes))
    (report,) = answer(payload).reports
    assert (report.scope, [c.code for c in report.codes]) == (service[1], codes)


@given(st.data())
def test_obd_values_and_freeze_frames(pick: st.DataObject) -> None:
    known = [pid for pid in range(256) if PID_BYTES[pid] < 60 and pid % 0x20 and pid != 2]
    pids = pick.draw(st.lists(st.sampled_from(known), min_size=1, max_size=6, unique=True))
    size = {pid: int(PID_BYTES[pid]) for pid in pids}
    values = [(p, pick.draw(st.binary(min_size=size[p], max_size=size[p]))) for p in pids]
    assert divide(b"".join(bytes([pid]) + value for pid, value in values)) == tuple(values)
    number, code = pick.draw(BYTES), pick.draw(CODES)
    body = b"".join(bytes([pid, number]) + value for pid, value in values)
    heard = answer(b"\x42" + bytes([2, number]) + two_bytes(code) + body)
    (dtc,) = heard.reports[0].codes
    assert (dtc.code, dtc.freeze_frames[0].number) == (code, number)
    assert dtc.freeze_frames[0].parts == tuple(values)
    assert [(f.identifier, f.content) for f in heard.facts] == [
        (number << 8 | pid, value) for pid, value in values
    ]


def test_an_answer_that_cannot_be_divided_is_one_value() -> None:
    assert divide(bytes.fromhex("068080")) == ((6, b"\x80\x80"),)
    assert divide(bytes.fromhex("0D3C0C1A")) == ((0x0D, bytes.fromhex("3C0C1A")),)


@given(
    st.lists(
        st.tuples(st.integers(1, 31), BYTES, BYTES, *[st.integers(0, 0xFFFF)] * 3),
        min_size=1,
        max_size=20,
    )
)
def test_obd_test_results(rows: list[tuple[int, int, int, int, int, int]]) -> None:
    payload = b"\x46" + b"".join(
        bytes(row[:3]) + b"".join(n.to_bytes(2, "big") for n in row[3:]) for row in rows
    )
    facts = answer(payload).facts
    assert [f.identifier for f in facts] == [row[0] << 8 | row[1] for row in rows]
    for fact, row in zip(facts, rows, strict=True):
        value, low, high = (n - 0x10000 if row[2] & 0x80 and n & 0x8000 else n for n in row[3:])
        assert fact.text.startswith("passed" if low <= value <= high else "failed")


@given(ROWS, BYTES, BYTES)
def test_uds_lists_by_status_mask(
    rows: list[tuple[str, int, int]], asked: int, available: int
) -> None:
    payload = bytes([UDS, 2, available]) + encoded(rows)
    reports = {r.scope: rows_of(r) for r in answer(payload, bytes([0x19, 2, asked])).reports}
    named = []
    for bit, scope in ((0x08, "confirmed"), (0x01, "active"), (0x04, "pending")):
        assert (scope in reports) == bool(asked & available & bit)
        if scope in reports:
            assert reports[scope] == [row for row in rows if row[2] & bit]
            named += reports[scope]
    assert reports.get("listed", []) == [row for row in rows if row not in named]


@given(ROWS, st.sampled_from([0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x13, 0x15]))
def test_uds_lists_without_a_mask(rows: list[tuple[str, int, int]], kind: int) -> None:
    (report,) = answer(bytes([UDS, kind, 0xFF]) + encoded(rows)).reports
    assert rows_of(report) == rows
    assert report.scope == {0x0A: "supported", 0x15: "permanent"}.get(kind, "listed")


@given(st.lists(st.tuples(CODES, BYTES, BYTES, BYTES), max_size=20))
def test_uds_severity(rows: list[tuple[str, int, int, int]]) -> None:
    body = b"".join(bytes([severity, 0x10]) + encoded([(c, f, s)]) for c, f, s, severity in rows)
    (report,) = answer(bytes([UDS, 8, 0xFF]) + body).reports
    assert [(c.code, c.failure_type, c.status, c.severity) for c in report.codes] == rows
    body = b"".join(bytes([severity]) + encoded([(c, f, s)]) for c, f, s, severity in rows)
    heard = answer(bytes([UDS, 0x42, 0x33, 0xFF, 0xFF, 4]) + body)
    assert [(c.code, c.failure_type, c.status, c.severity) for c in heard.reports[0].codes] == rows


@given(st.lists(st.tuples(CODES, BYTES, st.integers(-128, 127)), max_size=20))
def test_uds_detection_counters(rows: list[tuple[str, int, int]]) -> None:
    body = encoded([(code, failure, counter & 0xFF) for code, failure, counter in rows])
    (report,) = answer(bytes([UDS, 0x14]) + body).reports
    assert [(c.code, c.failure_type, c.detection_counter) for c in report.codes] == rows


@given(CODES, BYTES, BYTES, st.dictionaries(BYTES, st.binary(min_size=17, max_size=17), max_size=4))
def test_uds_snapshots(code: str, failure: int, status: int, records: dict[int, bytes]) -> None:
    """Of a DID whose size the standard gives, so that records can be told apart."""
    head = encoded([(code, failure, status)])
    body = b"".join(bytes([number, 1, 0xF1, 0x90]) + value for number, value in records.items())
    (report,) = answer(bytes([UDS, 4]) + head + body).reports
    (dtc,) = report.codes
    assert rows_of(report) == [(code, failure, status)]
    assert {f.number: f.parts for f in dtc.freeze_frames} == {
        number: ((0xF190, value),) for number, value in records.items()
    }


@given(
    st.lists(
        st.tuples(st.integers(0, 0xFFFF), st.binary(min_size=1, max_size=9)),
        min_size=1,
        max_size=9,
        unique_by=lambda row: row[0],
    )
)
def test_uds_values_by_did(rows: list[tuple[int, bytes]]) -> None:
    dids = {did: DataIdentifier("made up", len(value)) for did, value in rows}
    payload = b"\x62" + b"".join(did.to_bytes(2, "big") + value for did, value in rows)
    facts = decode_dids(payload, Origin(0, 0, 0), dids).facts
    assert [(f.identifier, f.content) for f in facts] == rows


@given(st.lists(st.tuples(CODES, BYTES), max_size=40), st.sampled_from([0, 1, 2, 3, 4]))
def test_kwp_lists(rows: list[tuple[str, int]], asked: int) -> None:
    payload = bytes([0x58, len(rows)]) + b"".join(two_bytes(c) + bytes([s]) for c, s in rows)
    heard = answer(payload, bytes([0x18, asked, 0xFF, 0]))
    reports = {r.scope: [(c.code, c.status) for c in r.codes] for r in heard.reports}
    if asked in (0, 2):
        assert reports["confirmed"] == [r for r in rows if r[1] >> 5 & 3 in (1, 3)]
        assert reports["active"] == [r for r in rows if r[1] >> 5 & 3 == 3]
        assert reports["pending"] == [r for r in rows if r[1] >> 5 & 3 == 2]
    else:
        assert reports == {"supported" if asked in (1, 3) else "listed": rows}


@given(BYTES, BYTES)
def test_refusals(service: int, code: int) -> None:
    (fact,) = answer(bytes([0x7F, service, code])).facts
    assert (fact.kind, fact.identifier, fact.content) == (FactKind.REFUSAL, service, bytes([code]))
    assert fact.text == NAMES.get(code, f"response code {code:02X}")
    wanted = (
        "obd" if service < 0x10 else "kwp" if service in (18, 19, 23, 24, 26, 32, 33) else "uds"
    )
    assert fact.protocol == wanted


def test_identification() -> None:
    facts = (
        answer(b"\x49\x02\x01" + VIN.encode()).facts + answer(b"\x62\xf1\x90" + VIN.encode()).facts
    )
    assert [(f.kind, f.text) for f in facts] == [(FactKind.VIN, VIN)] * 2


@pytest.mark.parametrize(
    ("severity", "name", "wanted"),
    [
        (0x02, "A", Severity.VISIT_SOON),
        (0x04, "B1", Severity.REMIND),
        (0x08, "B2", Severity.REMIND),
        (0x10, "C", Severity.INFO),
        (0x01, None, Severity.UNKNOWN),
        (0x00, None, Severity.UNKNOWN),
        (0x30, "C", Severity.REMIND),
        (0x50, "C", Severity.VISIT_SOON),
        (0xE4, "B1", Severity.STOP),
    ],
)
def test_severity_byte(severity: int, name: str | None, wanted: Severity) -> None:
    assert (emission_class(severity), level(severity)) == (name, wanted)


def test_readiness_of_every_monitor() -> None:
    ready = decode_pid_01(bytes.fromhex("83 7F FF 81"))
    assert (ready.mil_on, ready.codes) == (True, 3)
    assert ready.incomplete == (
        "misfire",
        "fuel system",
        "components",
        "nmhc catalyst",
        "egr or vvt",
    )
    assert len(ready.supported) == 9
    # DM5: 2 active, 1 previous; fuel system, catalyst and cold start aid wait.
    truck = decode_dm5(bytes.fromhex("02 01 14 26 01 01 01 01"))
    assert (truck.mil_on, truck.codes, truck.previous_codes) == (None, 2, 1)
    assert truck.supported == ("fuel system", "components", "catalyst", "cold start aid")
    assert truck.incomplete == ("fuel system", "catalyst", "cold start aid")
    assert decode_dm5(b"\xff" * 8).codes is None
    with pytest.raises(TruncatedFrameError, match="needed 8 bytes, got 7"):
        decode_dm5(bytes(7))

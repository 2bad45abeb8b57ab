"""What is folded upload by upload, in any cut and order, is what one fold over all of it gives."""

from __future__ import annotations

import random

import pytest

from model.code_clears import DM3, DM11
from model.codes import (
    CodeProtocol,
    CodeReport,
    CodeScope,
    Dtc,
    EcuFact,
    FactKind,
    Lamps,
    LampState,
)
from model.episodes import BUCKET_NS, Episode, FaultKey
from model.vehicle import Vehicle
from roadcall import episodes as following
from rules.episodes import episodes_of
from rules.sightings import facts_of
from store import masters
from store.database import Connection, connect
from store.episodes import key_of_row

#: Just before midnight, so that day bitmaps meet.
START_NS = (20_000 * 144 - 20) * BUCKET_NS
VINS = [f"LRDCALLDEM{i:07}" for i in range(1, 13)]
Report = CodeReport | EcuFact
STATUS = [0x01, 0x2F, 0x28, 0x26, 0x50, 0x40, 0x68, 0x20, 0x00]
ROWS = (
    "select kind, ecu, protocol, code, failure_type, instance, episode_id, state, severity, count,"
    " repeat, started_ns, last_seen_ns, since_ns, ended_ns, status, occurrence_count,"
    " freeze_frames from fault_episode join vehicle using (vehicle_id) where vin = %s"
)


def story(dice: random.Random) -> list[Report]:
    """Some hundred reports of a truck's ECU and of a UDS server; the last days are quiet."""
    found: list[Report] = []
    at_ns = START_NS
    named: set[str] = set()
    while len(found) < 150:
        at_ns += dice.choice([20, 60, 120, 400, 700, 3600, 20_000]) * 10**9
        quiet = len(found) > 90
        if quiet:
            named = set()
        elif dice.random() < 0.2:
            named ^= {dice.choice(["110/3", "100/1", "520192/5"])}
        kind = dice.random()
        if kind < 0.6:
            found.append(dm1(at_ns, sorted(named), dice))
        elif kind < 0.65:
            found.append(cleared(at_ns, dice))
        elif kind < 0.9:
            found.append(uds(at_ns, dice, quiet=quiet))
        else:
            content = bytes([0, 7, 0x65, dice.choice([0x65, 0x24, 0])])
            answer = EcuFact(at_ns, 0, 0x7E8, CodeProtocol.OBD, FactKind.READINESS, 1, content)
            found.append(answer)
    return found


def dm1(at_ns: int, named: list[str], dice: random.Random) -> CodeReport:
    off, on = LampState.OFF, dice.choice([LampState.ON, LampState.OFF])
    codes = tuple(
        Dtc(CodeProtocol.J1939, 0, code, occurrence_count=dice.randrange(1, 4)) for code in named
    )
    lamps = Lamps(off, off, on if named else off, off)
    return CodeReport(at_ns, 0, 0, CodeProtocol.J1939, CodeScope.ACTIVE, codes, lamps)


def uds(at_ns: int, dice: random.Random, *, quiet: bool) -> CodeReport:
    scope = dice.choice([CodeScope.CONFIRMED, CodeScope.CONFIRMED, CodeScope.SUPPORTED])
    codes = [Dtc(CodeProtocol.UDS, 0x7E8, "P0217", 0x44, status=dice.choice(STATUS))]
    return CodeReport(
        at_ns, 0, 0x7E8, CodeProtocol.UDS, scope, tuple(codes[: not quiet and dice.random() < 0.7])
    )


def cleared(at_ns: int, dice: random.Random) -> EcuFact:
    ecu, protocol, group = dice.choice(
        [
            (0, CodeProtocol.J1939, DM3),
            (0, CodeProtocol.J1939, DM11),
            (0x7E8, CodeProtocol.UDS, 0xFFFFFF),
            (0x7E8, CodeProtocol.UDS, 0x021744),
            (0x7E8, CodeProtocol.OBD, 0),
        ]
    )
    return EcuFact(at_ns, 0, ecu, protocol, FactKind.CLEARED, group, b"")


def told(conn: Connection, vin: str, parts: list[list[Report]]) -> list[tuple[object, ...]]:
    """Feed parts one by one; the rows at the end."""
    vehicle_id = masters.upsert_vehicles(conn, [Vehicle(vin=vin, profile="demo_truck")])[vin]
    for part in parts:
        reports = [r for r in part if isinstance(r, CodeReport)]
        facts = facts_of(reports, [a for a in part if isinstance(a, EcuFact)])
        following.follow_facts(conn, {vehicle_id: facts}, {vehicle_id: vin})
        conn.commit()
    return sorted((key_of_row(row[:6]), *row[6:]) for row in conn.execute(ROWS, [vin]).fetchall())


def whole(vin: str, sent: list[Report]) -> list[tuple[object, ...]]:
    """The same from one pure fold for each code."""
    reports = [r for r in sent if isinstance(r, CodeReport)]
    facts = facts_of(reports, [a for a in sent if isinstance(a, EcuFact)])
    found: list[tuple[FaultKey, Episode]] = []
    for key in {s.key for s in facts.sightings}:
        episodes = episodes_of(
            vin,
            [s for s in facts.sightings if s.key == key],
            [h for h in facts.heard if (h.ecu, h.protocol) == (key.ecu, key.protocol)],
            [s for s in facts.signs if s.ecu == key.ecu],
            clears=facts.clears,
        )
        found += [(key, e) for e in episodes]
    return sorted(
        (
            key, e.episode_id, e.state, int(e.severity), e.count, e.repeat, e.started_ns,
            e.last_seen_ns, e.since_ns, e.ended_ns, e.status, e.occurrence_count, e.freeze_frames,
        )
        for key, e in found
    )  # fmt: skip


@pytest.mark.parametrize("shuffle", [0.0, 3.0, 1000.0])
def test_parts_are_the_whole(dsn: str, shuffle: float) -> None:
    with connect(dsn) as conn:
        for vin in VINS:
            seed = random.randrange(2**32)
            print(f"seed {seed}")
            dice = random.Random(seed)
            sent = story(dice)
            order = sorted(range(len(sent)), key=lambda i: i + dice.uniform(0, shuffle))
            mixed, parts = [sent[i] for i in order], []
            while mixed:
                size = dice.choice([1, 1, 2, 3, 10])
                parts.append(mixed[:size])
                mixed = mixed[size:]
            assert told(conn, vin, parts) == whole(vin, sent)

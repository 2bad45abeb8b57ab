"""What rules cost: `python -m bench.rules`. All built-in rules over simulated healthy vehicles.

    rules_decode_*    decode time of the NumPy kernel over rule time, batches of about 1 000 frames
    rules_peer_*      rules times batches a second of one core, against a plain evaluator that
                      looks at every sample (bench/_rules_peer.py), same samples, same run
    rules_state_*     bytes of a quiet vehicle's rule memory as JSON
    rules_load        seconds to read the memory of 100 000 vehicles

Processor time of this thread; a ratio is that of the sums over one drive, the best of some turns.
`ROADCALL_BENCH_VEHICLES` says how many vehicles are loaded (10 000, counted up to 100 000).
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from dataclasses import dataclass

from bench._database import report
from bench._rules_peer import PerSample, samples_of
from dbc.profile import load_profile
from decoders.decode import Decoded, Decoder, Tails
from decoders.kernel_numpy import NumpyKernel
from decoders.plan import compile_plan
from model.frames import FrameBatch
from model.vehicle import Vehicle
from rules.bundle import Bundle, load_bundle
from rules.lane import VehicleRules, advance
from simulators.fleet import Fleet

PROFILES = ("demo_car", "demo_truck", "demo_ev")
FRAMES, BATCHES, TURNS = 1_000, 60, 3
START_NS = 1_704_067_200 * 10**9
STATE_BYTES, LOAD_S, FLEET = 2048, 30.0, 100_000


@dataclass(frozen=True, slots=True)
class Drive:
    """One healthy vehicle: its uploads, and what they decode to."""

    vehicle: Vehicle
    batches: list[FrameBatch]
    decoded: list[Decoded]
    kernel: NumpyKernel


def main() -> int:
    bundle = load_bundle()
    drives = [_drive(profile) for profile in PROFILES]
    codes = [_claims(bundle, drive) for drive in drives]
    return max(*codes, _load_claim([_run(bundle, drive)[1] for drive in drives]))


def _drive(profile: str) -> Drive:
    fleet = Fleet(8, seed=1, start_ns=START_NS, slice_s=1.0)
    index = next(i for i, v in enumerate(fleet.vehicles) if v.profile == profile)
    slice_s = FRAMES / max(1, len(fleet.upload_of(index, 0)))
    fleet = Fleet(8, seed=1, start_ns=START_NS, slice_s=slice_s)
    plan = compile_plan(load_profile(profile))
    decoder, tails = Decoder(plan), Tails()
    batches, decoded = [], []
    for number in range(BATCHES):
        batches.append(fleet.upload_of(index, number))
        decoded.append(decoder.decode(batches[-1], tails))
        tails = decoded[-1].tails
    return Drive(fleet.vehicles[index], batches, decoded, NumpyKernel(plan))


def _run(bundle: Bundle, drive: Drive) -> tuple[float, VehicleRules]:
    """Rule time of one drive, and the memory at its end."""
    rules, spent = VehicleRules.fresh(), 0.0
    for found in drive.decoded:
        received_ns = int(found.signals.observed_ns.max())
        start = time.thread_time()
        step = advance(bundle, rules, drive.vehicle, found.signals, found.reports, received_ns)
        spent += time.thread_time() - start
        rules = step.rules
    return spent, rules


def _decode_s(drive: Drive) -> float:
    start = time.thread_time()
    for batch in drive.batches:
        drive.kernel.decode(batch).signals(())
    return time.thread_time() - start


def _claims(bundle: Bundle, drive: Drive) -> int:
    name = drive.vehicle.profile
    _run(bundle, drive)
    turns = [(_decode_s(drive), _run(bundle, drive)[0]) for _ in range(TURNS)]
    decode_s, rule_s = (min(times) for times in zip(*turns, strict=True))
    _, rules = _run(bundle, drive)
    busy = sum(state.open is not None for state in rules.states.values())
    assert not busy, "a quiet vehicle has no alerts"
    code = report(
        claim=f"rules_decode_{name}",
        value=decode_s / rule_s,
        floor=1.0,
        unit="x",
        peer="NumPy kernel, decoding the same frames",
        rules=len(bundle.plan(drive.vehicle).instances),
        batch_us=rule_s / BATCHES * 1e6,
    )
    state = len(json.dumps(rules.to_memory()))
    state_code = report(
        claim=f"rules_state_{name}",
        value=state,
        ceiling=STATE_BYTES,
        unit="bytes",
        peer="JSON of a quiet vehicle",
    )
    return max(code, state_code, _peer_claim(bundle, drive, rule_s))


def _peer_claim(bundle: Bundle, drive: Drive, rule_s: float) -> int:
    samples = [samples_of(found.signals) for found in drive.decoded]
    peer = PerSample(bundle, drive.vehicle)
    start = time.thread_time()
    looks = sum(peer.run(part) for part in samples)
    theirs_s = time.thread_time() - start
    rules = len(bundle.plan(drive.vehicle).instances)
    return report(
        claim=f"rules_peer_{drive.vehicle.profile}",
        value=(rules * BATCHES / rule_s) / (peer.rules * BATCHES / theirs_s),
        floor=5.0,
        unit="x",
        peer="per-sample Python evaluator of the plain rules",
        rules_per_s=rules * BATCHES / rule_s,
        peer_rules_per_s=peer.rules * BATCHES / theirs_s,
        peer_looks=looks,
    )


def _load_claim(memories: list[VehicleRules]) -> int:
    texts = [json.dumps(rules.to_memory()) for rules in memories]
    count = int(os.environ.get("ROADCALL_BENCH_VEHICLES", "10000"))
    gc.disable()
    start = time.thread_time()
    loaded = [VehicleRules.from_memory(json.loads(texts[i % len(texts)])) for i in range(count)]
    spent = (time.thread_time() - start) * FLEET / len(loaded)
    gc.enable()
    return report(
        claim="rules_load",
        value=spent,
        ceiling=LOAD_S,
        unit="s",
        peer=f"{FLEET} vehicles, measured with {count}",
    )


if __name__ == "__main__":
    sys.exit(main())

"""Decoding less: only some signals, and states only when they change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from decoders.decode import Decoder, Tails
from decoders.plan_subset import subset
from model.frames import EXTENDED_ID
from tests.decoders.build import Frame, make_batch, plan_of, run_decoder, values_of
from tests.decoders.test_bits import CASCADE

NAMES = ["C.Top", "C.Always", "C.Sub", "C.Ranged", "C.Deep", "C.Wide"]


@given(st.sets(st.sampled_from(NAMES)), st.lists(st.binary(max_size=8), min_size=1, max_size=20))
def test_a_subset_is_the_whole_with_less(names: set[str], payloads: list[bytes]) -> None:
    plan, frames = plan_of(CASCADE), [(9, p) for p in payloads]
    whole = run_decoder(plan, frames).signals
    some = run_decoder(subset(plan, names), frames).signals
    everything = values_of(whole)
    assert values_of(some) == {k: v for k, v in everything.items() if k in names}
    assert some.frame_status.tolist() == whole.frame_status.tolist()


def test_a_subset_has_a_hash_of_its_own() -> None:
    plan = plan_of(CASCADE)
    assert len({plan.hash, subset(plan, ["C.Top"]).hash, subset(plan, ["C.Sub"]).hash}) == 3


def test_lamps_stay() -> None:
    plan = subset(plan_of(CASCADE, "j1939 = true\n"), [])
    dm1 = (int(EXTENDED_ID) | 0x18FECA03, bytes.fromhex("40FF6E0000010000"))
    assert values_of(run_decoder(plan, [dm1, (9, bytes(8))]).signals)["mil_lamp"] == {3: [1.0]}


STATES = """BO_ 1 Door: 8 X
 SG_ On : 0|1@1+ (1,0) [0|0] "" X

BO_ 2 Speed: 8 X
 SG_ V : 0|8@1+ (1,0) [0|0] "km/h" X
"""
BINDINGS = '[signals]\n"Door.On" = "ignition_on"\n"Speed.V" = "speed_kmh"\n'


def thinned(frames: list[Frame]) -> tuple[dict[str, list[float]], list[int]]:
    decoder = Decoder(plan_of(STATES, BINDINGS), drop_unchanged=True)
    signals = decoder.decode(make_batch(frames), Tails()).signals
    return {k: v[-1] for k, v in values_of(signals).items()}, signals.frame_status.tolist()


def test_states_are_told_once_and_numbers_always() -> None:
    on, off = bytes([1]).ljust(8, b"\0"), bytes(8)
    frames = [(1, off), (2, off), (1, off), (2, off), (1, on), (1, on), (1, off), (1, off)]
    found, status = thinned(frames)
    assert found == {"ignition_on": [0, 1, 0], "speed_kmh": [0, 0]}
    assert status == [0] * 8


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.binary(max_size=2)), max_size=30))
def test_thinning_leaves_every_change(frames: list[Frame]) -> None:
    found, status = thinned(frames)
    plan = plan_of(STATES, BINDINGS)
    whole = Decoder(plan).decode(make_batch(frames), Tails()).signals
    assert status == whole.frame_status.tolist()
    full = {k: v[-1] for k, v in values_of(whole).items()}
    assert found.get("speed_kmh") == full.get("speed_kmh")
    assert changes(found.get("ignition_on", [])) == changes(full.get("ignition_on", []))


def changes(values: list[float]) -> list[float]:
    return [v for k, v in enumerate(values) if k == 0 or v != values[k - 1]]


def test_off_by_default() -> None:
    signals = run_decoder(plan_of(STATES, BINDINGS), [(1, bytes(8))] * 3).signals
    assert values_of(signals)["ignition_on"] == {-1: [0, 0, 0]}

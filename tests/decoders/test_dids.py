"""ISO 14229 service 22 to samples: DID map and links of a profile, over ISO-TP frames.

Bytes are written by hand from ISO 14229-1 (62, DID, value) and ISO 15765-2 (frame types).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbc.diagnosis import Did, DidField
from dbc.profile import load_profile
from decoders.decode import Decoded, Decoder, Tails
from decoders.plan import compile_plan, plan_bytes, read_plan
from decoders.plan_dids import message_of
from decoders.plan_subset import subset
from model.codes import FactKind
from model.frames import EXTENDED_ID
from model.signals import Quality
from tests.decoders.build import HEAD, Frame, make_batch, values_of

MAP = """
[links]
battery = {request = "74A", answer = "7B4"}
tacho = {request = "18DAEEFA", answer = "18DAFAEE"}

[dids.0100]
name = "odometer"
bytes = 8
fields = [
  {signal = "odometer_km", bytes = 4, factor = 0.1, unit = "km"},
  {signal = "distance_to_service_km", at = 4, bytes = 2, signed = true, unit = "km"},
  {signal = "time_to_service_d", at = 6, bytes = 2, signed = true, unit = "d"},
]
[dids.0101]
fields = [
  {signal = "battery_temp_max_c", at = 0, offset = -40, unit = "degC"},
  {signal = "gear_park", at = 1, bit = 7, bits = 1},
  {name = "Level", at = 1, bit = 2, bits = 3, signed = true},
]
[dids.0102]
bytes = 12
fields = [{signal = "cell_voltage_v[1..6]", bytes = 2, unit = "mV"}]
[dids.0103]
bytes = 1
[dids.0104]
bytes = 4
fields = [{signal = "battery_temp_max_c", bytes = 4, unit = "degC"}]
"""


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Decoder:
    folder = tmp_path_factory.mktemp("profile")
    (folder / "made.dbc").write_text(
        HEAD + 'BO_ 256 Motion: 8 X\n SG_ A : 0|8@1+ (1,0) [0|0] "" X\n'
    )
    (folder / "made.toml").write_text('dbc = ["made.dbc"]\n' + MAP)
    profile = load_profile("made", [folder])
    return Decoder.of_profile(profile, compile_plan(profile))


def frames(*lines: str) -> list[Frame]:
    """candump's identifier#bytes."""
    found = []
    for line in lines:
        identifier, payload = line.split("#")
        extended = int(EXTENDED_ID) if len(identifier) == 8 else 0
        found.append((int(identifier, 16) | extended, bytes.fromhex(payload)))
    return found


def hear(decoder: Decoder, *lines: str) -> Decoded:
    return decoder.decode(make_batch(frames(*lines)), Tails())


def test_a_long_answer_on_a_link(decoder: Decoder) -> None:
    """123 456 tenths of a km, 0xFF38 = -200 km, 0x001E = 30 d; 11 bytes in two frames."""
    decoded = hear(
        decoder,
        "74A#0322010055555555",
        "7B4#100B6201000001E2",
        "74A#3000000000000000",
        "7B4#2140FF38001E5555",
    )
    assert values_of(decoded.signals) == {
        "odometer_km": {-1: [pytest.approx(12345.6)]},
        "distance_to_service_km": {-1: [-200]},
        "time_to_service_d": {-1: [30]},
    }
    (fact,) = decoded.facts
    assert (fact.kind, fact.identifier, fact.ecu) == (FactKind.DID, 0x0100, 0x7B4)
    assert fact.content.hex() == "0001e240ff38001e"
    assert decoded.signals.observed_ns.tolist() == [3, 3, 3], "when the answer was complete"


def test_bits_and_a_field_of_our_own(decoder: Decoder) -> None:
    """0x5A - 40; byte B8 = 1011 1000: bit 7 set, bits 4-2 = 110 = -2."""
    decoded = hear(decoder, "7B4#056201015AB80000")
    assert values_of(decoded.signals) == {
        "battery_temp_max_c": {-1: [50]},
        "gear_park": {-1: [1]},
        "DID_0101.Level": {-1: [-2]},
    }


def test_several_dids_in_one_answer(decoder: Decoder) -> None:
    """62, 0103 and its byte 09, 0101 and its bytes 64 (60 degC) and 80."""
    decoded = hear(decoder, "7B4#1008620103090101", "7B4#2164805555555555")
    assert [f.identifier for f in decoded.facts] == [0x0103, 0x0101]
    assert [f.content.hex() for f in decoded.facts] == ["09", "6480"]
    assert values_of(decoded.signals) == {
        "battery_temp_max_c": {-1: [60]},
        "gear_park": {-1: [1]},
        "DID_0101.Level": {-1: [0]},
    }


def test_cells_in_one_answer(decoder: Decoder) -> None:
    """3 700 = 0x0E74, 3 701 .. 3 705 mV; 15 bytes in three frames, on 29-bit identifiers."""
    decoded = hear(
        decoder,
        "18DAFAEE#100F6201020E740E",
        "18DAFAEE#21750E760E770E78",
        "18DAFAEE#220E795555555555",
    )
    found = decoded.signals
    cells = found.table.elements("cell_voltage_v")
    assert len(cells) == 6
    values = [found.samples(found.table.names[i])[1].tolist() for i in cells]
    assert values == [[pytest.approx(3.7 + i / 1000)] for i in range(6)]


def test_a_value_of_no_described_size_may_end_early(decoder: Decoder) -> None:
    assert values_of(hear(decoder, "7B4#0462010128000000").signals) == {
        "battery_temp_max_c": {-1: [0]}
    }


def test_a_value_cut_off_says_nothing(decoder: Decoder) -> None:
    decoded = hear(decoder, "7B4#0562010200010000")
    assert not len(decoded.signals)
    assert not decoded.facts


def test_a_value_outside_the_catalogues_range_is_not_good(decoder: Decoder) -> None:
    signals = hear(decoder, "7B4#0762010400010000").signals
    assert values_of(signals, Quality.OUT_OF_RANGE) == {"battery_temp_max_c": {-1: [65536]}}


def test_without_the_link_nobody_listens(tmp_path: Path) -> None:
    """7B4 is not 8 above 74A, so an answer there is trusted only because the profile says so."""
    text = MAP.replace('battery = {request = "74A", answer = "7B4"}', "")
    (tmp_path / "made.dbc").write_text(HEAD + "BO_ 256 Motion: 8 X\n")
    (tmp_path / "made.toml").write_text('dbc = ["made.dbc"]\n' + text)
    profile = load_profile("made", [tmp_path])
    decoder = Decoder.of_profile(profile, compile_plan(profile))
    assert not len(hear(decoder, "74A#0322010155555555", "7B4#056201015AB80000").signals)
    # On the identifiers of ISO 15765-4 the same answer is read.
    assert len(hear(decoder, "7E0#0322010155555555", "7E8#056201015AB80000").signals)


def test_plans_keep_dids_on_disk_and_in_subsets(decoder: Decoder) -> None:
    plan = read_plan(plan_bytes(decoder.plan))
    assert plan.dids.number.tolist() == [0x100, 0x101, 0x102, 0x104]
    few = Decoder(subset(plan, ["gear_park"]))
    assert values_of(hear(few, "7E8#056201015AB80000").signals) == {"gear_park": {-1: [1]}}


@given(st.data())
def test_fields_are_big_endian_bits(drawn: st.DataObject) -> None:
    """Against cantools on our message: any field of any place reads what integers say."""
    size = drawn.draw(st.integers(1, 8))
    bit = drawn.draw(st.integers(0, 8 * size - 1))
    bits = drawn.draw(st.integers(1, 8 * size - bit))
    at, signed = drawn.draw(st.integers(0, 20)), drawn.draw(st.booleans())
    value = drawn.draw(st.binary(min_size=at + size, max_size=at + size + 3))
    field = DidField("F", at, size, bit, bits, signed, 1.0, 0.0, "", False)
    message = message_of(0x0100, Did("", len(value), False, (field,)))
    number = int.from_bytes(value[at : at + size], "big") >> bit & (1 << bits) - 1
    if signed and number >> (bits - 1):
        number -= 1 << bits
    assert message.decode(value, scaling=False)["F"] == number

"""Plans: what the compiler refuses, what the cache keeps, and what workers do not import."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbc.profile import ProfileError, load_profile, profile_names
from decoders.decode import Decoder, Tails
from decoders.plan import Plan, cached_plan, compile_plan, plan_bytes, read_plan
from model.frames import EXTENDED_ID
from tests.decoders.build import HEAD, make_batch, plan_of, run_decoder, values_of

CAR = 'BO_ 1 A: 8 X\n SG_ V : 0|8@1+ (1,0) [0|0] "furlong" X\n SG_ W : 8|8@1+ (1,0) [0|0] "V" X\n'


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_compiles_and_survives_its_file(name: str) -> None:
    plan = compile_plan(load_profile(name))
    again = read_plan(plan_bytes(plan))
    assert (again.hash, again.table, again.messages) == (plan.hash, plan.table, plan.messages)
    assert again.skipped == plan.skipped == ()
    for section in ("ids", "groups", "selector_bits", "signal_bits", "signals"):
        mine, other = getattr(plan, section), getattr(again, section)
        for column in fields(mine):
            a, b = getattr(mine, column.name), getattr(other, column.name)
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


def test_all_faults_at_once() -> None:
    toml = '[signals]\n"A.V" = "speed_kmh"\n"A.Nothing" = "speed_kmh"\n'
    toml += "[messages.Ghost]\niso_tp = true\n"
    with pytest.raises(ProfileError) as caught:
        plan_of(CAR, toml)
    first, second, third = sorted(caught.value.faults)
    assert "made.toml: messages.Ghost: no such message in the DBC files" in first
    assert "made.toml: signals.'A.Nothing': no such signal in the DBC files" in second
    assert "signals.'A.V': no conversion from 'furlong' to 'km/h' of speed_kmh" in third


def test_an_explicit_factor_needs_no_known_unit() -> None:
    toml = '[signals]\n"A.V" = {name = "speed_kmh", factor = 2, offset = -1}\n'
    signals = run_decoder(plan_of(CAR, toml), [(1, b"\x05\x00")]).signals
    assert values_of(signals)["speed_kmh"] == {-1: [9.0]}
    assert dict(zip(signals.table.names, signals.table.units, strict=True)) == {
        "speed_kmh": "km/h",
        "A.W": "V",
    }


def test_an_unreadable_dbc_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "bad.dbc").write_text("this is no DBC file")
    (tmp_path / "bad.toml").write_text('dbc = ["bad.dbc"]')
    with pytest.raises(ProfileError, match=r"bad\.dbc:1: not a statement: this is no DBC file"):
        compile_plan(load_profile("bad", [tmp_path]))


def test_the_first_file_that_knows_an_identifier_decides(tmp_path: Path) -> None:
    for name, message in (("own", "Own"), ("base", "Base")):
        text = f'BO_ 1 {message}: 8 X\n SG_ V : 0|8@1+ (1,0) [0|0] "" X\n'
        (tmp_path / f"{name}.dbc").write_text(HEAD + text)
    (tmp_path / "car.toml").write_text('dbc = ["own.dbc", "base.dbc"]')
    plan = compile_plan(load_profile("car", [tmp_path]))
    assert values_of(run_decoder(plan, [(1, b"\x07")]).signals) == {"Own.V": {-1: [7.0]}}


def test_signals_no_double_holds_are_named() -> None:
    dbc = (
        'BO_ 1 A: 32 X\n SG_ Vin : 0|136@1+ (1,0) [0|0] "" X\n SG_ V : 136|8@1+ (1,0) [0|0] "" X\n'
    )
    plan = plan_of(dbc)
    assert plan.skipped == ("A.Vin: 136 bits",)
    assert plan.table.names == ("A.V",)


def obd_plan() -> Plan:
    return compile_plan(load_profile("j1979"))


def test_identifier_filters_say_which_ecu_answered() -> None:
    x = int(EXTENDED_ID)
    answer = bytes.fromhex("03410D32AAAAAAAA")
    identifiers = (0x7E8, 0x7EF, x | 0x18DAF110, x | 0x18DAF1F9, 0x7E0, 0x7F0, x | 0x18DA10F1)
    signals = run_decoder(obd_plan(), [(i, answer) for i in identifiers]).signals
    assert values_of(signals)["speed_kmh"] == {0: [50], 7: [50], 0x10: [50], 0xF9: [50]}
    assert signals.frame_status.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_padding_after_a_single_frame_is_not_read() -> None:
    """Length 3 = service, PID and one byte; a rotational speed needs two."""
    signals = run_decoder(obd_plan(), [(0x7E8, bytes.fromhex("03410C1AF8AAAAAA"))]).signals
    assert "engine_speed_rpm" not in values_of(signals)
    assert signals.frame_status.tolist() == [2]


def test_the_cache_is_used_and_mended(tmp_path: Path) -> None:
    profile = load_profile("j1979")
    first = cached_plan(profile, tmp_path)
    (stored,) = tmp_path.iterdir()
    assert profile.hash in stored.name
    stamp = stored.stat().st_mtime_ns
    assert cached_plan(profile, tmp_path).table == first.table
    assert stored.stat().st_mtime_ns == stamp
    stored.write_bytes(stored.read_bytes()[:1000])
    assert cached_plan(profile, tmp_path).table == first.table
    assert read_plan(stored.read_bytes()).hash == profile.hash


@given(st.binary(max_size=300))
def test_a_broken_cache_file_is_recognised(content: bytes) -> None:
    import zipfile

    with pytest.raises((ValueError, KeyError, zipfile.BadZipFile, EOFError)):
        read_plan(content)


def test_workers_do_not_import_cantools(tmp_path: Path) -> None:
    """880 ms and 145 MB in every worker otherwise."""
    cached_plan(load_profile("demo_truck"), tmp_path)
    program = (
        "import sys, pathlib\n"
        "from dbc.profile import load_profile\n"
        "from decoders.decode import Decoder\n"
        "from decoders.plan import cached_plan\n"
        f"Decoder(cached_plan(load_profile('demo_truck'), pathlib.Path({str(tmp_path)!r})))\n"
        "sys.exit('cantools' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_tails_survive_a_store(tmp_path: Path) -> None:
    plan = compile_plan(load_profile("j1939_core"))
    announce = bytes([32, 20, 0, 3, 255, 0xEC, 0xFE, 0])
    batch = make_batch([(int(EXTENDED_ID) | 0x1CECFF05, announce)])
    tails = Decoder(plan).decode(batch, Tails()).tails
    assert tails.to_memory()
    assert Tails.from_memory(tails.to_memory()) == tails
    assert Tails().to_memory() == {}
    later = make_batch([(1, b"")], [10**12])
    assert Decoder(plan).decode(later, tails).tails == Tails()

"""ARXML, KCD and SYM come in as cantools reads them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbc.loader import load_file
from dbc.profile import DbcFile, Profile, ProfileError
from decoders.plan import compile_plan
from tests.decoders.build import run_decoder, values_of

KCD = """<NetworkDefinition xmlns="http://kayak.2codeornot2code.org/1.0">
<Document/><Bus name="B"><Message id="0x1E" name="Speed" length="8">
<Signal name="V" offset="8" length="16"><Value slope="0.5" unit="km/h"/></Signal>
</Message></Bus></NetworkDefinition>
"""
SYM = """FormatVersion=6.0 // Do not edit this line!
Title="Foo"

{SIGNALS}
Sig=V unsigned 16 /u:km /f:0.5

{SEND}

[Speed]
ID=01Eh
Len=8
Sig=V 8

"""


@pytest.mark.parametrize(("suffix", "text"), [(".kcd", KCD), (".sym", SYM)])
def test_other_formats_decode(suffix: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / f"car{suffix}"
    path.write_text(text)
    plan = compile_plan(Profile("car", "combustion", (DbcFile(path, False),)))
    signals = run_decoder(plan, [(0x1E, bytes.fromhex("0064000000000000"))]).signals
    assert values_of(signals) == {"Speed.V": {-1: [50.0]}}


def test_a_broken_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "car.arxml"
    path.write_text("<AUTOSAR/>")
    with pytest.raises(ProfileError, match=r"car\.arxml: arxml: "):
        load_file(path)


SUFFIXES = (".dbc", ".kcd", ".sym", ".arxml")


@given(
    st.sampled_from(SUFFIXES), st.sampled_from([KCD, SYM, ""]), st.binary(max_size=200), st.data()
)
def test_any_file_is_messages_or_refused(
    suffix: str, start: str, more: bytes, pick: st.DataObject
) -> None:
    """Right beginnings with something else in the middle, and nonsense."""
    content = start.encode()
    cut = pick.draw(st.integers(0, len(content)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"made{suffix}"
        path.write_bytes(content[:cut] + more + content[cut:])
        try:
            assert all(message.name for message in load_file(path).messages)
        except ProfileError as error:
            assert error.faults

"""Trouble code bytes by the table of SAE J2012."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.j2012 import code_number, code_text, three_byte_code
from tests.decoders.diagnosis_build import two_bytes


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0x0217, "P0217"),
        (0x1234, "P1234"),
        (0x3FFF, "P3FFF"),
        (0x4123, "C0123"),
        (0x5812, "C1812"),
        (0x9603, "B1603"),
        (0xC100, "U0100"),
        (0xE1AB, "U21AB"),
    ],
)
def test_the_table(number: int, text: str) -> None:
    assert code_text(number) == text
    assert code_number(text) == number
    assert two_bytes(text) == number.to_bytes(2, "big")


@given(st.integers(0, 0xFFFF))
def test_round_trip(number: int) -> None:
    assert code_number(code_text(number)) == number


@pytest.mark.parametrize("text", ["", "P4000", "X0123", "P02171", "P0", "P0G00"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no trouble code|invalid literal"):
        code_number(text)


def test_the_third_byte_is_the_failure_type() -> None:
    assert three_byte_code(bytes.fromhex("581287")) == ("C1812", 0x87)
    assert three_byte_code(bytes.fromhex("000001")) == ("P0000", 1)
    assert three_byte_code(bytes(3)) is None

"""Trouble code bytes to text.

Source: SAE J2012 and J2012-DA (editions: docs/sources.md), two-byte form and three-byte form.

    byte  bits  field
    0     7-6   system: 00 P, 01 C, 10 B, 11 U
    0     5-4   first digit, 0-3
    0     3-0   second character, hexadecimal
    1     all   third and fourth character, hexadecimal
    2     all   failure type, three-byte form only

00 00 is padding, not a code.
"""

from __future__ import annotations

_SYSTEMS = "PCBU"


def code_text(number: int) -> str:
    """The text of a two-byte code: 0x4123 -> C0123."""
    return f"{_SYSTEMS[number >> 14 & 3]}{number >> 12 & 3}{number & 0xFFF:03X}"


def code_number(text: str) -> int:
    """Inverse of `code_text`. Raises ValueError for anything else."""
    if len(text) != 5 or text[0] not in _SYSTEMS or text[1] not in "0123":
        raise ValueError(f"no trouble code: {text}")
    return _SYSTEMS.index(text[0]) << 14 | int(text[1]) << 12 | int(text[2:], 16)


def three_byte_code(row: bytes) -> tuple[str, int] | None:
    """Text and failure type; None for padding."""
    number = row[0] << 8 | row[1]
    return (code_text(number), row[2]) if number or row[2] else None

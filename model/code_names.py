"""How people write a trouble code, read into the one way we keep it.

Source: SAE J2012 (P0217), its Digital Annex (U0100-87), SAE J1939-73 (SPN 110 FMI 0 = 110/0).
"""

from __future__ import annotations

import re
import unicodedata

from model.codes import CodeProtocol, Dtc
from model.errors import RoadcallError

MAX_SPN = (1 << 19) - 1
MAX_FMI = 31

J2012 = re.compile(r"(?P<code>[PCBU][0-3][0-9A-F]{3})(?:[-: ]?(?P<failure_type>[0-9A-F]{2}))?")
J1939 = re.compile(r"(?:SPN)? ?(?P<spn>[0-9]{1,6})(?: ?/ ?|[ ,]*FMI ?)(?P<fmi>[0-9]{1,2})")
SPN = re.compile(r"(?:SPN)? ?(?P<spn>[0-9]{1,6})")


class CodeNameError(RoadcallError):
    """Text that is no trouble code."""

    def __init__(self, text: str) -> None:
        super().__init__(f"not a trouble code: {text[:40]!r}, write P0217, U0100-87 or 110/0")
        self.text = text


def dtc_of(text: str) -> Dtc:
    """The code a person wrote; capitals, spaces and full-width signs do not matter.

    Raises CodeNameError.
    """
    plain = _plain(text)
    if found := J2012.fullmatch(plain):
        kind = found["failure_type"]
        if kind is None:
            return Dtc(CodeProtocol.OBD, 0, found["code"])
        return Dtc(CodeProtocol.UDS, 0, found["code"], failure_type=int(kind, 16))
    if found := J1939.fullmatch(plain):
        spn, fmi = int(found["spn"]), int(found["fmi"])
        if spn <= MAX_SPN and fmi <= MAX_FMI:
            return Dtc(CodeProtocol.J1939, 0, f"{spn}/{fmi}")
    raise CodeNameError(text)


def key_of(text: str) -> str:
    """The key of a list's row: a code, or an SPN alone for all its FMIs. Raises CodeNameError."""
    found = SPN.fullmatch(_plain(text))
    if found and int(found["spn"]) <= MAX_SPN:
        return str(int(found["spn"]))
    return keys(dtc_of(text))[0]


def keys(dtc: Dtc) -> tuple[str, ...]:
    """Under what a list may know this code: exactly, then without its last part."""
    if dtc.protocol is CodeProtocol.J1939:
        return dtc.code, dtc.code.partition("/")[0]
    if dtc.failure_type is None:
        return (dtc.code,)
    return f"{dtc.code}-{dtc.failure_type:02X}", dtc.code


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).upper().split())

"""Statements that a strict parser refuses, read loosely and written again."""

from __future__ import annotations

import re
from collections.abc import Callable

from dbc.statements import KEYWORDS, match_whole

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_MESSAGE = re.compile(
    r"BO_\s*(?P<id>0[xX][0-9A-Fa-f]+|\d+)\s+(?P<name>[^:]+?)\s*:\s*(?P<size>\d+)\s*(?P<sender>.*)"
)
_SIGNAL = re.compile(
    r"SG_\s*(?P<name>[^:]+?)(?:\s+(?P<mux>M|m\d*M?))?\s*:\s*(?P<start>\d+)\s*[|]\s*(?P<size>\d+)"
    r"\s*@\s*(?P<order>[01])\s*(?P<sign>[-+])"
    rf"\s*\(\s*(?P<scale>{_NUMBER})\s*,\s*(?P<offset>{_NUMBER})\s*\)"
    rf"\s*(?:\[\s*(?P<low>{_NUMBER})\s*[|]\s*(?P<high>{_NUMBER})\s*\])?"
    r'\s*(?P<unit>"[^"]*")?\s*(?P<receivers>.*)'
)
_CHOICES = re.compile(r"VAL_\s+(?P<id>\d+)\s+(?P<name>\S+)(?P<rows>.*)", re.DOTALL)
_CHOICE = re.compile(r'([-+]?\d+)(?:\.0*)?\s*"([^"]*)"')
_FLOAT = re.compile(r"SIG_VALTYPE_\s+(?P<id>\d+)\s+(?P<name>\S+?)\s*:?\s*(?P<type>[0-3])\s*;?")
_ABOUT_SIGNAL = re.compile(r"(?P<head>(?:CM_|BA_\s+\"[^\"]*\")\s+SG_\s+\d+\s+)(?P<name>\S+)")
_VECTOR = "Vector__XXX"


class Unreadable(Exception):  # noqa: N818 - a finding that a caller turns into a remark
    """Why a statement cannot be mended."""


def mend_line(
    keyword: str, text: str, match: re.Match[str] | None
) -> tuple[str, re.Match[str], str]:
    """A whole statement, its match from its first character on, and what was done to it ("").

    Raises `Unreadable`.
    """
    if match is not None:
        return text, match, ""
    mend = _MENDERS.get(keyword)
    if mend is None:
        raise Unreadable("cannot be read")
    mended, remark = mend(text.strip())
    found = match_whole(keyword, mended)
    if found is None:
        raise Unreadable("cannot be read")
    return mended, found, remark


def safe_name(name: str) -> str:
    """The name as a C identifier that is no keyword."""
    safe = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if safe[:1].isdigit() or not safe:
        safe = f"_{safe}"
    return f"{safe}_" if safe in KEYWORDS else safe


def _message(text: str) -> tuple[str, str]:
    found = _MESSAGE.fullmatch(text)
    if found is None:
        raise Unreadable("not a message")
    words = re.findall(r"[^\s,;]+", found["sender"])
    name, remarks = _name(found["name"])
    if not words:
        remarks.append(f"no sender: {_VECTOR}")
    sender = safe_name(words[0]) if words else _VECTOR
    number = int(found["id"], 16 if found["id"][:2].lower() == "0x" else 10)
    remark = "; ".join(remarks) or "rewritten"
    return f"BO_ {number} {name}: {int(found['size'])} {sender}", f"{found['name']}: {remark}"


def _signal(text: str) -> tuple[str, str]:
    found = _SIGNAL.fullmatch(text)
    if found is None:
        raise Unreadable("not a signal")
    name, remarks = _name(found["name"])
    mux = found["mux"] or ""
    if mux in ("m", "mM"):
        mux = "M" if mux == "mM" else ""
        remarks.append("m without a number: not multiplexed")
    scale, offset, low, high = (
        _number(found[k], remarks) for k in ("scale", "offset", "low", "high")
    )
    if found["unit"] is None:
        remarks.append("no unit")
    receivers = [safe_name(w) for w in re.findall(r"[^\s,;]+", found["receivers"])]
    if not receivers:
        remarks.append(f"no receiver: {_VECTOR}")
    line = (
        f"SG_ {name} {mux + ' ' if mux else ''}: {int(found['start'])}|{int(found['size'])}"
        f"@{found['order']}{found['sign']} ({scale},{offset}) [{low}|{high}]"
        f" {found['unit'] or chr(34) * 2} {','.join(receivers or [_VECTOR])}"
    )
    return line, f"{found['name']}: {'; '.join(remarks) or 'rewritten'}"


def _name(written: str) -> tuple[str, list[str]]:
    name = safe_name(written)
    return name, [] if name == written else [f"now {name}"]


def _number(written: str | None, remarks: list[str]) -> str:
    """The number with a digit before its point."""
    if written is None:
        if "no range" not in remarks:
            remarks.append("no range")
        return "0"
    number = re.sub(r"^([-+]?)\.", r"\g<1>0.", written)
    if number != written:
        remarks.append(f"{written} is {number}")
    return number


def _bit_timing(text: str) -> tuple[str, str]:
    return "BS_:", "bit timing left out"


def _nodes(text: str) -> tuple[str, str]:
    words = [safe_name(w) for w in re.findall(r"[^\s,;:]+", text[len("BU_") :])]
    return f"BU_: {' '.join(words)}", "node names rewritten"


def _choices(text: str) -> tuple[str, str]:
    found = _CHOICES.fullmatch(text)
    rows = _CHOICE.findall(found["rows"]) if found else []
    if found is None or not rows:
        raise Unreadable("no values")
    pairs = " ".join(f'{value} "{word}"' for value, word in rows)
    return f"VAL_ {found['id']} {safe_name(found['name'])} {pairs} ;", "VAL_ rewritten"


def _float_type(text: str) -> tuple[str, str]:
    found = _FLOAT.fullmatch(text)
    if found is None:
        raise Unreadable("not a value type")
    name = safe_name(found["name"])
    return f"SIG_VALTYPE_ {found['id']} {name} : {found['type']};", "SIG_VALTYPE_ rewritten"


def _about_signal(text: str) -> tuple[str, str]:
    """A comment or an attribute of a signal whose name had to change."""
    found = _ABOUT_SIGNAL.match(text)
    if found is None:
        raise Unreadable("cannot be read")
    name = safe_name(found["name"])
    return f"{found['head']}{name}{text[found.end() :]}", f"{found['name']} is {name}"


def _terminated(text: str) -> tuple[str, str]:
    return f"{text};", "semicolon written"


def _either(*menders: Callable[[str], tuple[str, str]]) -> Callable[[str], tuple[str, str]]:
    def mend(text: str) -> tuple[str, str]:
        for one in menders:
            try:
                mended, remark = one(text)
            except Unreadable:
                continue
            if match_whole(text.split(None, 1)[0], mended):
                return mended, remark
        raise Unreadable("cannot be read")

    return mend


_MENDERS: dict[str, Callable[[str], tuple[str, str]]] = {
    "BO_": _message,
    "SG_": _signal,
    "BS_": _bit_timing,
    "BU_": _nodes,
    "VAL_": _choices,
    "SIG_VALTYPE_": _float_type,
    "CM_": _either(_terminated, _about_signal),
    "BA_": _either(_terminated, _about_signal),
    "SG_MUL_VAL_": _terminated,
    "VAL_TABLE_": _terminated,
}

"""Values that an ECU gave by data identifier (DID).

Source: ISO 14229-1 (edition: docs/sources.md), ReadDataByIdentifier (22), DIDs F180-F19F in
Annex C.

    byte 0   62
    then     DID (2 bytes), value, DID, value ..

Values are not separated: an answer with several DIDs can be divided as long as their sizes are
known. A DID of unknown size takes all that follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dbc.diagnosis import Did
from decoders.answers import Answer, Origin, need, printable
from model.codes import CodeProtocol, FactKind

ANSWER = 0x62
VIN = 0xF190


@dataclass(frozen=True, slots=True)
class DataIdentifier:
    """Name and size of a value; `size` None = not known, `text` = shown as characters."""

    name: str
    size: int | None = None
    text: bool = False


#: What the standard names itself. Sizes are the maker's, but for the VIN.
STANDARD: dict[int, DataIdentifier] = {
    0xF180: DataIdentifier("boot software identification"),
    0xF181: DataIdentifier("application software identification"),
    0xF182: DataIdentifier("application data identification"),
    0xF186: DataIdentifier("active diagnostic session", 1),
    0xF187: DataIdentifier("spare part number", text=True),
    0xF188: DataIdentifier("ECU software number", text=True),
    0xF189: DataIdentifier("ECU software version", text=True),
    0xF18A: DataIdentifier("system supplier", text=True),
    0xF18B: DataIdentifier("ECU manufacturing date"),
    0xF18C: DataIdentifier("ECU serial number", text=True),
    VIN: DataIdentifier("VIN", 17, text=True),
    0xF191: DataIdentifier("ECU hardware number", text=True),
    0xF192: DataIdentifier("supplier hardware number", text=True),
    0xF193: DataIdentifier("supplier hardware version", text=True),
    0xF194: DataIdentifier("supplier software number", text=True),
    0xF195: DataIdentifier("supplier software version", text=True),
    0xF197: DataIdentifier("system name", text=True),
    0xF199: DataIdentifier("programming date"),
    0xF19E: DataIdentifier("ODX file", text=True),
}
_UNNAMED = DataIdentifier("")


def identifiers_of(dids: Mapping[int, Did]) -> dict[int, DataIdentifier]:
    """A profile's DIDs; where it gives no name or size, the standard's."""
    found = {}
    for number, row in dids.items():
        usual = STANDARD.get(number, _UNNAMED)
        size = row.size or usual.size
        found[number] = DataIdentifier(row.name or usual.name, size, row.text or usual.text)
    return found


def find(dids: Mapping[int, DataIdentifier], did: int) -> DataIdentifier:
    """The profile's word for a DID, or the standard's."""
    return dids.get(did) or STANDARD.get(did, _UNNAMED)


def divide(
    body: bytes, dids: Mapping[int, DataIdentifier], count: int | None = None
) -> tuple[list[tuple[int, bytes]], int]:
    """Up to `count` (DID, value) pairs, and the bytes used. Raises `TruncatedFrameError`."""
    pairs: list[tuple[int, bytes]] = []
    at = 0
    while at < len(body) if count is None else len(pairs) < count:
        need(body, at + 2)
        did = body[at] << 8 | body[at + 1]
        size = find(dids, did).size
        end = len(body) if size is None else at + 2 + size
        need(body, end)
        pairs.append((did, body[at + 2 : end]))
        at = end
        if size is None:
            break
    return pairs, at


def decode(payload: bytes, origin: Origin, dids: Mapping[int, DataIdentifier]) -> Answer:
    """Each value as a fact, and for the plan. Raises `TruncatedFrameError`."""
    need(payload, 3)
    facts = []
    pairs, _ = divide(payload[1:], dids)
    for did, content in pairs:
        known = find(dids, did)
        kind = FactKind.VIN if did == VIN else FactKind.DID
        text = printable(content) if known.text else content.hex().upper()
        if known.name and kind is FactKind.DID:
            text = f"{known.name}: {text}"
        facts.append(origin.fact(CodeProtocol.UDS, kind, did, content, text))
    return Answer(facts=tuple(facts), dids=tuple(pairs))

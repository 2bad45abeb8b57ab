"""Which identifiers belong to which message of a profile.

Source: SAE J1939-21 (parameter group number: PDU1 below PF 240 carries a destination in PS,
PDU2 a group extension); 29-bit identifier = priority 3, EDP 1, DP 1, PF 8, PS 8, source 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import numpy as np

from dbc.profile import IdFilter
from decoders.plan import Identifiers

EXACT = 0x1FFF_FFFF
PDU2_MASK, PDU1_MASK = 0x03FF_FF00, 0x03FF_0000
SOURCE_ADDRESS = 0xFF


def pgn_mask(can_id: int) -> int:
    """Identifier bits that name the parameter group."""
    return PDU2_MASK if (can_id >> 16) & 0xFF >= 0xF0 else PDU1_MASK


@dataclass
class _Claim:
    name: str
    message: int
    ignored: int
    file: int


@dataclass
class IdentifierTable:
    """Collects claims of messages on identifiers, file by file."""

    faults: list[str] = field(default_factory=list)
    _file: str = ""
    _number: int = 0
    _standard: dict[int, _Claim] = field(default_factory=dict)
    _levels: dict[int, dict[int, _Claim]] = field(default_factory=dict)

    def open_file(self, name: str, number: int) -> None:
        """Claims that follow come from this file; earlier files win over it."""
        self._file, self._number = name, number

    def claim(
        self,
        name: str,
        frame_id: int,
        message: int,
        *,
        extended: bool,
        j1939: bool,
        match: Sequence[IdFilter] = (),
    ) -> bool:
        """Whether any identifier is the message's. A second claim within one file is a fault."""
        if match:
            return sum(self._claim_filter(name, message, f) for f in match) > 0
        if not extended:
            return self._put(self._standard, frame_id, _Claim(name, message, 0, self._number))
        if not j1939:
            return self._put_level(EXACT, frame_id, _Claim(name, message, 0, self._number))
        mask = pgn_mask(frame_id)
        claim = _Claim(name, message, SOURCE_ADDRESS, self._number)
        holder = self._levels.get(mask, {}).get(frame_id & mask)
        if holder is None:
            self._put_level(mask, frame_id & mask, claim)
        elif holder.file != self._number:
            return False
        # A second definition of one PGN decides for its own source address only.
        return self._put_level(EXACT, frame_id, claim)

    def _claim_filter(self, name: str, message: int, f: IdFilter) -> bool:
        whole = EXACT if f.extended else 0x7FF
        claim = _Claim(name, message, whole & ~f.mask, self._number)
        if f.extended:
            return self._put_level(f.mask, f.value, claim)
        free = [i for i in range(2048) if i & f.mask == f.value]
        return sum(self._put(self._standard, i, claim) for i in free) > 0

    def _put_level(self, mask: int, key: int, claim: _Claim) -> bool:
        return self._put(self._levels.setdefault(mask, {}), key, claim)

    def _put(self, keys: dict[int, _Claim], key: int, claim: _Claim) -> bool:
        holder = keys.get(key)
        if holder is None:
            keys[key] = claim
            return True
        if holder.file == claim.file:
            self.faults.append(
                f"{self._file}: {claim.name}: identifier 0x{key:X} belongs to {holder.name}"
            )
        return False

    def _needed_exact(self) -> dict[int, _Claim]:
        """Exact claims without those that the parameter group decides the same way."""
        return {
            key: claim
            for key, claim in self._levels.get(EXACT, {}).items()
            if not claim.ignored
            or self._levels[pgn_mask(key)][key & pgn_mask(key)].message != claim.message
        }

    def table(self) -> Identifiers:
        """The arrays of a plan: exact identifiers first, then the more exact mask."""
        standard = np.full(2049, -1, np.int32)
        standard_ignored = np.zeros(2049, np.uint32)
        for can_id, claim in self._standard.items():
            standard[can_id], standard_ignored[can_id] = claim.message, claim.ignored
        levels = {EXACT: self._needed_exact()} | {
            mask: keys for mask, keys in self._levels.items() if mask != EXACT
        }
        masks = sorted((m for m in levels if levels[m]), key=lambda m: (-m.bit_count(), m))
        rows = [
            (key, claim.message, claim.ignored)
            for mask in masks
            for key, claim in sorted(levels[mask].items(), key=itemgetter(0))
        ]
        counts = [len(levels[mask]) for mask in masks]
        return Identifiers(
            standard=standard,
            standard_ignored=standard_ignored,
            level_mask=np.array(masks, np.uint32),
            level_start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
            key=np.array([r[0] for r in rows], np.uint32),
            message=np.array([r[1] for r in rows], np.int32),
            ignored=np.array([r[2] for r in rows], np.uint32),
        )

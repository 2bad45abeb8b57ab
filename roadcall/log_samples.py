"""Log files to samples with everything an engineer asks of one: when, where, what, how sure.

The pipeline's decoder gives samples by signal, without the frame each came from. Ordinary frames
are therefore decoded with their row number in the place of their time, which gives the frame
back. Frames that may carry transport protocols need their true times; a sample from them belongs
to the frame that completed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from dbc.diagnosis import did_message
from dbc.profile import Profile
from decoders.decode import Decoder, Tails
from decoders.plan import Plan
from model.frames import ERROR_FRAME, EXTENDED_ID, ID_MASK, REMOTE_FRAME, FrameBatch
from model.signals import FrameStatus, SignalBatch

#: Second bytes of 29-bit identifiers that carry J1939 TP and ETP, and ISO 15765-2.
_TRANSPORT_FORMATS = (0xEB, 0xEC, 0xC7, 0xC8, 0xDA, 0xDB, 0xCE, 0xCD)
#: 11-bit identifiers of OBD requests and answers.
_OBD_FIRST, _OBD_LAST = 0x7DF, 0x7EF
NO_MESSAGE = -1
#: What the lamps that DM1 decoding adds come from.
_LAMP_MESSAGE = "DM1"
STATUS_NAMES = {int(s): s.name.lower() for s in FrameStatus}

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Label:
    """What a sample is of: DBC message and signal, and the name rules know it by."""

    message: str
    signal: str
    name: str
    unit: str

    def matches(self, globs: tuple[str, ...]) -> bool:
        """Whether any glob names the signal, `Message.Signal` or the catalogue's name."""
        names = [n.lower() for n in (self.signal, f"{self.message}.{self.signal}", self.name)]
        wanted = [glob.lower() for glob in globs]
        # Brackets mean something to globs, and are part of an array element's name.
        return not globs or any(n == g or fnmatchcase(n, g) for g in wanted for n in names)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Samples of one batch of frames in the order of time, `label` an index into `labels`.

    `frame_*` describe the batch's frames: their message (by label of `messages`) and status.
    """

    observed_ns: Ints
    bus: NDArray[np.uint8]
    can_id: NDArray[np.uint32]
    label: Ints
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    #: Integers that a float64 cannot hold, by sample.
    exact: Mapping[int, int]
    frames: FrameBatch
    frame_message: Ints
    frame_status: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.value)

    def values(self) -> list[float | int]:
        """All values, whole ones that a float64 cannot hold as integers."""
        values: list[float | int] = self.value.tolist()
        for sample, number in self.exact.items():
            values[sample] = number
        return values


@dataclass(slots=True, eq=False)
class _Part:
    """Samples of one decode call, not yet in order."""

    row: Ints
    label: Ints
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]
    exact: dict[int, int] = field(default_factory=dict)


class LogDecoder:
    """Decodes batches of one log in file order; `globs` keep only the signals they name."""

    def __init__(self, profile: Profile, plan: Plan, globs: tuple[str, ...] = ()) -> None:
        self.plan, self.labels = plan, list[Label]()
        self._decoder, self._globs = Decoder.of_profile(profile, plan), globs
        self._tails: dict[int, Tails] = {}
        self._label_of: dict[tuple[int, int], int] = {}
        self._wanted: list[bool] = []
        self._message_of: dict[int, int] = {}
        #: DBC names by (message, catalogue name), and messages by catalogue name.
        self._signals: dict[tuple[str, str], list[str]] = {}
        self._senders: dict[str, list[str]] = {}
        for key, binding in profile.bindings.items():
            message, _, signal = key.partition(".")
            self._signals.setdefault((message, binding.name), []).append(signal)
            self._senders.setdefault(binding.name, []).append(message)
        self._scaled = _scaled(plan)
        self._did_messages = frozenset(map(did_message, profile.dids))
        pairs = profile.links.values()
        self._links = sorted({i for pair in pairs for i in (pair.request_id, pair.answer_id)})

    def decode(self, batch: FrameBatch) -> Block:
        """Samples of one batch; transport sessions go on from the batch before."""
        message = self.messages(batch.can_id)
        transport = (message == NO_MESSAGE) | self._carries(batch.can_id, message)
        status = np.zeros(len(batch), np.uint8)
        parts = []
        rows = np.flatnonzero(~transport)
        if len(rows):
            parts.append(self._ordinary(batch, rows, message, status))
        for bus in np.unique(batch.bus[transport]).tolist():
            rows = np.flatnonzero(transport & (batch.bus == bus))
            parts.append(self._transport(batch, rows, bus, message, status))
        return self._block(batch, message, status, parts)

    def messages(self, can_id: NDArray[np.uint32]) -> Ints:
        """The plan's message of each identifier, NO_MESSAGE where it has none."""
        ids, which = np.unique(can_id, return_inverse=True)
        known = self._message_of
        for number in ids.tolist():
            if number not in known:
                known[number] = find_message(self.plan, number)
        return np.array([known[n] for n in ids.tolist()], np.int64)[which]

    def _carries(self, can_id: NDArray[np.uint32], message: Ints) -> NDArray[np.bool_]:
        extended, plain = can_id & EXTENDED_ID != 0, can_id & ID_MASK
        by_id = np.where(
            extended,
            np.isin(plain >> 16 & 0xFF, _TRANSPORT_FORMATS),
            (plain >= _OBD_FIRST) & (plain <= _OBD_LAST),
        )
        iso_tp: NDArray[np.bool_] = np.append(self.plan.iso_tp, False)
        carries: NDArray[np.bool_] = by_id | iso_tp[message]
        if self._links:
            carries |= np.isin(can_id, np.array(self._links, np.uint32))
        return carries

    def _ordinary(
        self, batch: FrameBatch, rows: Ints, message: Ints, status: NDArray[np.uint8]
    ) -> _Part:
        chosen = batch.take(rows)
        numbered = replace(chosen, observed_ns=np.arange(len(chosen)))
        signals = self._decoder.decode(numbered, Tails()).signals
        status[rows] = signals.frame_status
        row = rows[signals.observed_ns]
        return self._part(signals, row, message[row])

    def _transport(
        self, batch: FrameBatch, rows: Ints, bus: int, message: Ints, status: NDArray[np.uint8]
    ) -> _Part:
        chosen = batch.take(rows)
        decoded = self._decoder.decode(chosen, self._tails.get(bus, Tails()))
        self._tails[bus], signals = decoded.tails, decoded.signals
        status[rows] = signals.frame_status
        by_time = np.argsort(chosen.observed_ns, kind="stable")
        times = chosen.observed_ns[by_time]
        last = np.searchsorted(times, signals.observed_ns, side="right") - 1
        row = rows[by_time[np.maximum(last, 0)]]
        return self._part(signals, row, message[row])

    def _part(self, signals: SignalBatch, row: Ints, message: Ints) -> _Part:
        count = np.diff(signals.run_start)
        name = np.repeat(signals.run_signal.astype(np.int64), count)
        key = (message + 1) << 16 | name
        keys, which = np.unique(key, return_inverse=True)
        labels = [self._label((k >> 16) - 1, k & 0xFFFF) for k in keys.tolist()]
        exact = {
            int(signals.run_start[run]) + i: number
            for run, numbers in signals.exact.items()
            if not self._scaled[signals.run_signal[run]]
            for i, number in enumerate(numbers.tolist())
            if abs(number) > 1 << 53
        }
        label = np.array(labels, np.int64)[which]
        return _Part(row, label, signals.value, signals.quality, exact)

    def _label(self, message: int, name: int) -> int:
        """Number of the label of a table name in a message."""
        key = message, name
        if key not in self._label_of:
            label = self._make_label(message, name)
            self._label_of[key] = len(self.labels)
            self.labels.append(label)
            self._wanted.append(label.matches(self._globs))
        return self._label_of[key]

    def _make_label(self, message: int, name: int) -> Label:
        text, unit = self.plan.table.names[name], self.plan.table.units[name]
        own, dot, signal = text.partition(".")
        if dot:
            return Label(own, signal, text, unit)
        sender = self.plan.messages[message] if message >= 0 else ""
        if (sender, text) not in self._signals:
            senders = self._senders.get(text, [_LAMP_MESSAGE])
            asked = [s for s in senders if s in self._did_messages] if not sender else []
            senders = asked or senders
            sender = senders[0] if len(set(senders)) == 1 else ""
        signals = self._signals.get((sender, text), [])
        return Label(sender, signals[0] if len(signals) == 1 else text, text, unit)

    def _block(
        self, batch: FrameBatch, message: Ints, status: NDArray[np.uint8], parts: list[_Part]
    ) -> Block:
        none = np.zeros(0, np.int64)
        row = np.concatenate([none, *(p.row for p in parts)])
        label = np.concatenate([none, *(p.label for p in parts)])
        value = np.concatenate([none / 1.0, *(p.value for p in parts)])
        quality = np.concatenate([none.astype(np.uint8), *(p.quality for p in parts)])
        wanted = np.array(self._wanted, np.bool_)
        order = np.lexsort((row, batch.observed_ns[row]))
        order = order[wanted[label[order]]] if len(label) else order
        exact: dict[int, int] = {}
        if any(p.exact for p in parts):
            place = np.full(len(row), -1)
            place[order] = np.arange(len(order))
            first = np.cumsum([0, *(len(p.row) for p in parts)]).tolist()
            for start, part in zip(first, parts, strict=False):
                moved = {int(place[start + i]): number for i, number in part.exact.items()}
                exact |= {i: number for i, number in moved.items() if i >= 0}
        rows = row[order]
        return Block(
            observed_ns=batch.observed_ns[rows],
            bus=batch.bus[rows],
            can_id=batch.can_id[rows],
            label=label[order],
            value=value[order],
            quality=quality[order],
            exact=exact,
            frames=batch,
            frame_message=message,
            frame_status=status,
        )


def find_message(plan: Plan, can_id: int) -> int:
    """The plan's message of one identifier, as `decoders.plan.Identifiers` describes."""
    ids, plain = plan.ids, can_id & int(ID_MASK)
    if can_id & int(REMOTE_FRAME | ERROR_FRAME):
        return NO_MESSAGE
    if not can_id & int(EXTENDED_ID):
        return int(ids.standard[min(plain, len(ids.standard) - 1)])
    for level, mask in enumerate(ids.level_mask.tolist()):
        low, high = int(ids.level_start[level]), int(ids.level_start[level + 1])
        at = low + int(np.searchsorted(ids.key[low:high], plain & mask))
        if at < high and int(ids.key[at]) == plain & mask:
            return int(ids.message[at])
    return NO_MESSAGE


def _scaled(plan: Plan) -> NDArray[np.bool_]:
    """Names any of whose signals is not simply its raw integer."""
    signals = plan.signals
    plain = (signals.scale == 1) & (signals.offset == 0)
    plain &= (signals.unit_factor == 1) & (signals.unit_offset == 0)
    scaled = np.zeros(len(plan.table.names), np.bool_)
    scaled[signals.name[~plain]] = True
    return scaled

"""The NumPy kernel: frames of one payload width in, samples as runs out.

It is the reference for the compiled kernel and always there. About thirty array operations a
chunk, whatever the size of the DBC: frames are sorted by (group, source), every signal of a group
becomes a run over its frames, and all runs are decoded in one flat pass. Nothing here waits,
raises or looks at other frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decoders.numbers import Block, Scalar
from decoders.plan import Fields, Plan
from decoders.runs import EXACT_BITS, Runs, ranges, run_key, stable_order
from model.frames import ERROR_FRAME, EXTENDED_ID, ID_MASK, REMOTE_FRAME
from model.signals import FrameStatus

#: Frames a pass; its arrays stay in the second-level cache.
CHUNK = 5_000

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Rows of one payload width. `payload` is uint8[n, 8 k]; `length` may be less than 8 k."""

    observed_ns: NDArray[np.int64]
    can_id: NDArray[np.uint32]
    length: NDArray[np.int32]
    payload: NDArray[np.uint8]
    #: Row of each frame in its batch.
    row: NDArray[np.int64]


def decode_rows(
    plan: Plan, frames: Frames, message: NDArray[np.int32], source: NDArray[np.int16]
) -> tuple[Runs, NDArray[np.uint8]]:
    """Samples of at most 2^20 frames, and the status of each frame.

    `message` and `source` are what `find_messages` said.
    """
    status = (message < 0).view(np.uint8) * np.uint8(FrameStatus.UNKNOWN_ID)
    status[(frames.can_id & (REMOTE_FRAME | ERROR_FRAME)) != 0] = FrameStatus.NO_PAYLOAD
    words = _words(frames.payload)
    group, row = _select(plan, frames, words, message, status)
    short = bool((plan.groups.need[group] > frames.length[row]).any())
    if short:
        cut = row[plan.groups.promised[group] > frames.length[row]]
        status[cut[status[cut] == FrameStatus.OK]] = FrameStatus.SHORT
    _mark_wrong_length(plan, frames, message, status)
    group, row, start, count = _sorted(group, source, row)
    signal, segment = _runs_of(plan, group, source[row[start]])
    counts = count[segment]
    rows = row.take(ranges(start[segment], counts))
    if short:
        keep = np.repeat(plan.signal_bits.need[signal], counts) <= frames.length[rows]
        rows, counts = rows[keep], _kept(keep, counts)
        signal, segment, counts = signal[counts > 0], segment[counts > 0], counts[counts > 0]
    value, quality, raw = _samples(plan, words, signal, counts, rows)
    runs = Runs(
        signal=signal,
        source=source[row[start]][segment],
        count=counts,
        row=rows,
        frame=frames.row,
        observed_ns=frames.observed_ns.take(rows),
        value=value,
        quality=quality,
        raw=raw,
    )
    return runs, status


def _mark_wrong_length(
    plan: Plan, frames: Frames, message: NDArray[np.int32], status: NDArray[np.uint8]
) -> None:
    """Frames that hold all signals and still are not what the DBC file says."""
    if not len(plan.length):
        return
    rows = np.flatnonzero(plan.padded.take(message, mode="wrap") != frames.length)
    length = plan.length[message[rows]]
    wrong = (frames.length[rows] != length) & (length > 0) & (status[rows] == FrameStatus.OK)
    status[rows[wrong]] = FrameStatus.WRONG_LENGTH


def find_messages(
    plan: Plan, can_id: NDArray[np.uint32]
) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """Message index (-1 unknown) and source (-1 none) of each frame."""
    ids = plan.ids
    plain = can_id & ID_MASK
    extended = can_id >= EXTENDED_ID
    # The row after the last identifier is the unknown message.
    at = np.where(extended, ids.standard.size - 1, np.minimum(plain, ids.standard.size - 1))
    message, ignored = ids.standard.take(at), ids.standard_ignored.take(at)
    open_rows = np.flatnonzero(extended)
    for level, mask in enumerate(ids.level_mask):
        if not len(open_rows):
            break
        keys = ids.key[ids.level_start[level] : ids.level_start[level + 1]]
        wanted = plain[open_rows] & mask
        hit = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found = keys[hit] == wanted
        hit = hit[found] + ids.level_start[level]
        message[open_rows[found]] = ids.message[hit]
        ignored[open_rows[found]] = ids.ignored[hit]
        open_rows = open_rows[~found]
    source = (plain & ignored).astype(np.int16)
    source[ignored == 0] = -1
    return message, source


def _runs_of(plan: Plan, group: Ints, source: NDArray[np.int16]) -> tuple[Ints, NDArray[np.intp]]:
    """Runs of the segments (group, source): plan signal and segment, by (name, source)."""
    signals = np.diff(plan.groups.signal_start)[group]
    segment = np.repeat(np.arange(len(group)), signals)
    signal = ranges(plan.groups.signal_start[group].astype(np.int64), signals)
    order = stable_order(run_key(plan, signal, source[segment]))
    return signal[order], segment[order]


def _kept(keep: NDArray[np.bool_], counts: Ints) -> Ints:
    """How many samples of each run stay."""
    ends = np.cumsum(counts)
    kept = np.concatenate([[0], np.cumsum(keep)])
    stay: Ints = kept[ends] - kept[ends - counts]
    return stay


def _words(payload: NDArray[np.uint8]) -> Words:
    """Words of all rows: [row, 2k] little-endian, [row, 2k + 1] big-endian."""
    little = np.ascontiguousarray(payload).view("<u8")
    words = np.empty((len(payload), 2 * little.shape[1]), np.uint64)
    words[:, 0::2] = little
    words[:, 1::2] = little.byteswap()
    return words


def _raw(words: Words, fields: Fields, pick: Ints, counts: Ints | None, rows: Ints) -> Words:
    """Unsigned raw bits of field `pick[i]` in `counts[i]` rows each (None: one row each)."""

    def spread(column: NDArray[Scalar]) -> NDArray[Scalar]:
        return column[pick] if counts is None else np.repeat(column[pick], counts)

    width = words.shape[1]
    at = rows * width
    at += spread(fields.word)
    flat = words.reshape(-1)
    raw: Words = flat.take(at)
    raw >>= spread(fields.shift)
    if fields.carry[pick].any():
        carry = spread(fields.carry).astype(np.int64)
        up, down = np.flatnonzero(carry > 0), np.flatnonzero(carry < 0)
        raw[up] |= flat[at[up] + 2] << carry[up].astype(np.uint64)
        over = (-carry[down]).astype(np.uint64)
        raw[down] = raw[down] << over | flat[at[down] + 2] >> (np.uint64(64) - over)
    raw &= spread(fields.mask)
    return raw


def _select(
    plan: Plan, frames: Frames, words: Words, message: NDArray[np.int32], status: NDArray[np.uint8]
) -> tuple[Ints, Ints]:
    """All (group, row) pairs: the messages' own groups and what selectors lead to."""
    groups = plan.groups
    row = np.flatnonzero(status == FrameStatus.OK)
    group = message[row].astype(np.int64)
    if not len(groups.low):
        return group, row
    counts = np.diff(groups.selector_start)
    found = [(group, row)]
    while len(group):
        number = counts[group]
        if not number.any():
            break
        selector = ranges(groups.selector_start[group].astype(np.int64), number)
        rows = np.repeat(row, number)
        there = plan.selector_bits.need[selector] <= frames.length[rows]
        selector, rows = selector[there], rows[there]
        raw = _raw(words, plan.selector_bits, selector, None, rows)
        key = (selector.astype(np.uint64) << np.uint64(48)) | raw
        at = np.searchsorted(groups.low, key, side="right") - 1
        known = (at >= 0) & (groups.high[at] >= key)
        status[rows[~known]] = FrameStatus.BAD_MULTIPLEXER
        at, rows = at[known], rows[known]
        number = np.diff(groups.target_start)[at]
        group = groups.target[ranges(groups.target_start[at].astype(np.int64), number)].astype(
            np.int64
        )
        row = np.repeat(rows, number)
        found.append((group, row))
    return np.concatenate([g for g, _ in found]), np.concatenate([r for _, r in found])


def _sorted(group: Ints, source: NDArray[np.int16], row: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Pairs by (group, source), rows in order: group, all rows, first pair, pairs per segment."""
    key = group << 16 | source[row].view(np.uint16)
    order = stable_order(key)
    key = key[order]
    first = np.ones(len(key), np.bool_)
    np.not_equal(key[1:], key[:-1], out=first[1:])
    start = np.flatnonzero(first)
    count = np.diff(np.append(start, len(key)))
    return key[start] >> 16, row[order], start, count


def _samples(
    plan: Plan, words: Words, signal: Ints, count: Ints, rows: Ints
) -> tuple[NDArray[np.float64], NDArray[np.uint8], Words | None]:
    """Values, quality and (where doubles cannot hold them) raw integers of all runs."""
    raw = _raw(words, plan.signal_bits, signal, count, rows)
    if plan.signal_bits.sign[signal].any():
        sign = np.repeat(plan.signal_bits.sign[signal], count)
        raw ^= sign
        raw -= sign
    value, quality = Block(plan, signal, count, raw).numbers()
    wide = bool((plan.signals.bits[signal] > EXACT_BITS).any())
    return value, quality, raw if wide else None

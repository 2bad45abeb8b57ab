"""Three synthetic decode workloads: DBC texts and frames, seeded and alike on every machine.

passenger: 60 messages, 98 % of the signals big-endian, identifiers below 0x700 (diagnosis begins
           there), 8 % unknown frames
j1939:     60 parameter groups (6 of them PDU1), 5 source and 3 destination addresses
mux_fd:    92 messages: OBD service 01 by extended multiplexing, simple multiplexers, ranges,
           64-byte CAN FD with half, single and double floats; 65 % of the frames are FD
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from decoders.j1979_pids import PID_BYTES
from model.clock import NS
from model.frames import EXTENDED_ID, FrameBatch, FrameFlag, frame_batch

SEED = 20_240_229
START_NS = 1_700_000_000 * NS
#: PIDs of one value that fits a single frame.
_PIDS = [pid for pid in range(2, 155) if PID_BYTES[pid] <= 5]
#: Lengths a signal of a passenger car or truck usually has.
WIDTHS = (1, 1, 2, 2, 4, 4, 8, 8, 8, 10, 12, 16, 16)


@dataclass(frozen=True, slots=True)
class Load:
    """One workload. `frames` are (identifier with bit 31, payload)."""

    name: str
    dbc: str
    j1939: bool
    frames: list[tuple[int, bytes]]

    def batch(self) -> FrameBatch:
        """All frames as one batch, classic first."""
        rows = sorted(self.frames, key=lambda f: len(f[1]) > 8)
        classic = [p for _, p in rows if len(p) <= 8]
        fd = [p for _, p in rows if len(p) > 8]
        n = len(rows)
        flags = np.zeros(n, np.uint8)
        flags[len(classic) :] = FrameFlag.FD
        return frame_batch(
            observed_ns=START_NS + np.arange(n) * 350_000,
            can_id=np.array([i for i, _ in rows], np.uint32),
            flags=flags,
            length=np.array([len(p) for _, p in rows], np.uint8),
            payload8=_matrix(classic, 8),
            payload64=_matrix(fd, 64),
        )


def _matrix(payloads: list[bytes], width: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    joined = b"".join(p.ljust(width, b"\0") for p in payloads)
    return np.frombuffer(joined, np.uint8).reshape(-1, width)


@dataclass
class _Writer:
    """Writes DBC text message by message."""

    random: random.Random
    lines: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)

    def message(self, number: int, name: str, length: int) -> None:
        self.lines.append(f"\nBO_ {number} {name}: {length} Vector__XXX")

    def signal(self, name: str, first: int, bits: int, *, mux: str = "", big: bool = False) -> None:
        """`first` counts bits in reading order; scale, offset and sign are drawn."""
        start = 8 * (first // 8) + 7 - first % 8 if big else first
        sign = "-" if bits > 4 and self.random.random() < 0.3 else "+"
        scale = self.random.choice(("1", "0.1", "0.25", "0.01", "0.0625")) if bits > 4 else "1"
        offset = self.random.choice(("0", "0", "-40", "-273.15")) if bits > 6 else "0"
        self.lines.append(
            f" SG_ {name} {mux}: {start}|{bits}@{0 if big else 1}{sign}"
            f' ({scale},{offset}) [0|0] "" Vector__XXX'
        )

    def fill(
        self, name: str, count: int, low: int, high: int, *, big: bool = False, mux: str = ""
    ) -> None:
        """Up to `count` signals side by side in the bits `low` .. `high - 1`."""
        for k in range(count):
            bits = self.random.choice(WIDTHS)
            if low + bits > high:
                break
            self.signal(f"{name}_{k}", low, bits, mux=mux, big=big)
            low += bits

    def text(self) -> str:
        return 'VERSION ""\nNS_ :\nBS_:\nBU_:\n' + "\n".join([*self.lines, "", *self.tail, ""])


def passenger(n: int) -> Load:
    draw = random.Random(SEED)
    writer = _Writer(draw)
    ids = draw.sample(range(0x20, 0x700), 66)
    for i, can_id in enumerate(ids[:60]):
        writer.message(can_id, f"Car{i}", 8)
        writer.fill(f"Car{i}", draw.randint(2, 9), 0, 64, big=i != 7)
    frames = _traffic(draw, n, lambda: draw.choice(ids), lambda _: 8)
    return Load("passenger", writer.text(), False, frames)


def j1939(n: int) -> Load:
    draw = random.Random(SEED + 1)
    writer = _Writer(draw)
    groups = [0xFE00 + g for g in draw.sample(range(256), 57)] + [
        pf << 8 for pf in draw.sample(range(0x10, 0xE0), 6)
    ]
    for i, pgn in enumerate(groups[3:]):
        writer.message(0x8000_0000 | 6 << 26 | pgn << 8 | 0xFE, f"Pgn{pgn:X}", 8)
        writer.fill(f"S{i}", draw.randint(7, 13), 0, 64)

    def identifier() -> int:
        pgn = draw.choice(groups)
        destination = draw.choice((0x00, 0x0B, 0xFF)) if pgn < 0xF000 else 0
        source = draw.choice((0x00, 0x03, 0x0B, 0x17, 0x47))
        return int(EXTENDED_ID) | 6 << 26 | (pgn | destination) << 8 | source

    return Load("j1939", writer.text(), True, _traffic(draw, n, identifier, lambda _: 8))


def mux_fd(n: int) -> Load:
    draw = random.Random(SEED + 2)
    writer = _Writer(draw)
    _obd_message(writer)
    lengths = {0x7E8: 8}
    for i in range(30):
        lengths[0x100 + i] = 8
        writer.message(0x100 + i, f"Mux{i}", 8)
        writer.lines.append(f' SG_ Page{i} M : 0|8@1+ (1,0) [0|0] "" Vector__XXX')
        for page in range(4):
            writer.fill(f"M{i}P{page}", 4, 8, 64, mux=f"m{page} ")
    for i in range(61):
        lengths[0x300 + i] = length = draw.choice((12, 24, 32, 64))
        writer.message(0x300 + i, f"Fd{i}", length)
        floats = [(1, 32), (2, 64)] if i % 5 == 0 and length > 12 else [(1, 32)]
        writer.fill(f"F{i}", 20, 0, 8 * length - 96, big=i % 3 == 0)
        for kind, bits in floats:
            writer.signal(f"Float{i}_{kind}", 8 * length - 32 * kind - (bits == 64) * 32, bits)
            writer.tail.append(f"SIG_VALTYPE_ {0x300 + i} Float{i}_{kind} : {kind};")
    fd_ids = [i for i in lengths if i >= 0x300]
    classic = [i for i in lengths if i < 0x300]

    def identifier() -> int:
        return draw.choice(fd_ids) if draw.random() < 0.65 else draw.choice([*classic, 0x7E8])

    frames = _traffic(draw, n, identifier, lengths.__getitem__)
    return Load("mux_fd", writer.text(), False, [_sensible(draw, f) for f in frames])


def _obd_message(writer: _Writer) -> None:
    """155 signals behind service and PID."""
    writer.message(0x7E8, "Obd", 8)
    writer.lines += [
        ' SG_ Service M : 8|8@1+ (1,0) [0|0] "" Vector__XXX',
        ' SG_ Pid m65M : 16|8@1+ (1,0) [0|0] "" Vector__XXX',
    ]
    writer.tail.append("SG_MUL_VAL_ 2024 Pid Service 65-65;")
    for pid in range(155):
        writer.signal(f"Obd{pid}", 24, 16, mux=f"m{pid} ", big=True)
        ranged = f"{pid}-{pid}" if pid < 154 else "154-160, 170-180"
        writer.tail.append(f"SG_MUL_VAL_ 2024 Obd{pid} Pid {ranged};")


def _sensible(draw: random.Random, frame: tuple[int, bytes]) -> tuple[int, bytes]:
    """Selectors that exist, so that cantools can decode the frame too."""
    can_id, payload = frame
    if can_id == 0x7E8:
        pid = draw.choice(_PIDS)
        return can_id, bytes([int(PID_BYTES[pid]) + 2, 65, pid]) + payload[3:]
    return (can_id, bytes([draw.randrange(4)]) + payload[1:]) if can_id < 0x200 else frame


def _traffic(
    draw: random.Random, n: int, identifier: Callable[[], int], length: Callable[[int], int]
) -> list[tuple[int, bytes]]:
    def frames() -> Iterator[tuple[int, bytes]]:
        for _ in range(n):
            can_id = identifier()
            yield can_id, draw.randbytes(length(can_id))

    return list(frames())

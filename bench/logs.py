"""What reading logs as columns buys: `python -m bench.logs`.

candump and BLF files written by python-can, read by python-can message by message and by us batch
by batch, in turns in one process; the ratio is the median over the rounds, in processor time,
because both sides use one core and other work on the machine must not decide. What both read is
compared first. Peak memory is that of a whole process that reads and decodes a log, for one log
and for one four times as long.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import can

from bench._database import report
from bench._decode_loads import SEED, passenger
from ingest.log_files import read_log

FRAMES, ROUNDS = 200_000, 7
FLOORS = {"candump": 10.0, "blf": 15.0}
SUFFIXES = {"candump": ".log", "blf": ".blf"}
#: Log of 25 MB, and how many of them make the long one.
MEMORY_FRAMES, TIMES_AS_LONG = 500_000, 4
#: Peak of the long log against that of the short one.
MEMORY_CEILING = 1.1
START_S, STEP_S = 1_700_000_000, 350e-6


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="roadcall-bench-") as folder:
        missed = [_claim(name, Path(folder)) for name in FLOORS]
        return max([*missed, _memory_claim(Path(folder))])


def _claim(name: str, folder: Path) -> int:
    path = folder / f"bench{SUFFIXES[name]}"
    _write(path)
    assert _ours(path) == _peers(path), "both must read the same"
    ratios, speeds = [], []
    for _ in range(ROUNDS):
        ours_s = _seconds(lambda: [None for _ in read_log(path)])
        ratios.append(_seconds(lambda: [None for _ in _messages(path)]) / ours_s)
        speeds.append(FRAMES / ours_s)
    return report(
        claim=f"logs_{name}",
        value=statistics.median(ratios),
        floor=FLOORS[name],
        unit="x",
        peer="python-can message by message",
        frames_per_s=statistics.median(speeds),
    )


def _write(path: Path) -> None:
    """By python-can, from the frames of a passenger car."""
    with can.Logger(path) as logger:
        for i, (can_id, payload) in enumerate(_traffic()):
            logger.on_message_received(
                can.Message(
                    timestamp=START_S + i * STEP_S,
                    arbitration_id=can_id & 0x1FFF_FFFF,
                    is_extended_id=can_id >= 1 << 31,
                    data=payload,
                    channel=i % 2,
                )
            )


def _traffic() -> Iterator[tuple[int, bytes]]:
    """As on a real bus: half of the messages hold a counter, a value that moves and a checksum,
    the others rarely change (in real logs 21 to 91 % of the payloads repeat the one before).
    Random payloads would time zlib, which both sides use, and little else."""
    draw = random.Random(SEED)
    last: dict[int, bytearray] = {}
    for can_id, first in passenger(FRAMES).frames:
        payload = last.setdefault(can_id, bytearray(first))
        if can_id % 2 or draw.random() < 0.1:
            payload[0] = (payload[0] & 0xF0) | (payload[0] + 1 & 0x0F)
            payload[3] = (payload[3] + draw.randint(-2, 2)) & 0xFF
            payload[7] = sum(payload[:7]) & 0xFF
        yield can_id, bytes(payload)


def _messages(path: Path) -> Iterator[can.Message]:
    reader: Iterable[can.Message] = can.LogReader(path)
    return iter(reader)


def _ours(path: Path) -> tuple[int, int, int]:
    """Frames, sum of identifiers, sum of payload bytes."""
    batches = list(read_log(path))
    return (
        sum(map(len, batches)),
        sum(int((b.can_id & 0x1FFF_FFFF).sum()) for b in batches),
        sum(int(b.payload8.sum(dtype="u8")) for b in batches),
    )


def _peers(path: Path) -> tuple[int, int, int]:
    read = [(m.arbitration_id, sum(m.data)) for m in _messages(path)]
    return len(read), sum(i for i, _ in read), sum(s for _, s in read)


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _memory_claim(folder: Path) -> int:
    load = passenger(MEMORY_FRAMES)
    dbc, short, long = (folder / name for name in ("load.dbc", "short.log", "long.log"))
    dbc.write_text(load.dbc)
    lines = [
        f"({START_S + i * STEP_S:.6f}) can0 {can_id:03X}#{payload.hex().upper()}\n"
        for i, (can_id, payload) in enumerate(load.frames)
    ]
    short.write_text("".join(lines))
    with long.open("wb") as target:
        for _ in range(TIMES_AS_LONG):
            target.write(short.read_bytes())
    peaks = [_peak_kb(path, dbc) for path in (short, long)]
    return report(
        claim="logs_memory",
        value=peaks[1] / peaks[0],
        ceiling=MEMORY_CEILING,
        unit="x",
        peer=f"a log {TIMES_AS_LONG} times as short",
        peak_mb=peaks[1] / 1024,
        log_mb=long.stat().st_size / 1e6,
    )


def _peak_kb(log: Path, dbc: Path) -> int:
    """Peak resident memory of a process that decodes the log and keeps nothing."""
    command = [sys.executable, "-m", "bench._log_memory", str(log), str(dbc)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    sys.exit(main())

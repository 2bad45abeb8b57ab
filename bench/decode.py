"""What batches buy: `python -m bench.decode`.

The product's decode call on 5 000-frame batches against cantools' `Message.decode` frame by
frame (choices off, message looked up in a plain dict), in turns in one process; the ratio is the
median over the rounds. Both must give the same number of values; that the values are the same, bit
by bit, is what tests/decoders/test_against_cantools.py shows.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench._database import report
from bench._decode_loads import Load, j1939, mux_fd, passenger
from dbc.loader import load_messages
from dbc.profile import load_profile
from decoders.decode import Decoder, Tails
from decoders.plan import compile_plan
from model.frames import EXTENDED_ID

BATCH, ROUNDS, BATCHES_PER_ROUND = 5_000, 9, 20
FLOORS = {"passenger": 15.0, "j1939": 12.0, "mux_fd": 8.0}


def main() -> int:
    return max([_claim(make(BATCH)) for make in (passenger, j1939, mux_fd)])


def _claim(load: Load) -> int:
    decoder, peer = _decoder(load), _peer(load)
    batch = load.batch()

    def ours() -> float:
        return sum(
            float(decoder.decode(batch, Tails()).signals.value.sum())
            for _ in range(BATCHES_PER_ROUND)
        )

    _same(decoder, load, peer)
    ours()
    ratios, speeds = [], []
    for _ in range(ROUNDS):
        batch_s = _seconds(ours) / BATCHES_PER_ROUND
        ratios.append(_seconds(peer) / batch_s)
        speeds.append(BATCH / batch_s)
    return report(
        claim=f"decode_numpy_{load.name}",
        value=statistics.median(ratios),
        floor=FLOORS[load.name],
        unit="x",
        peer="cantools Message.decode per frame",
        frames_per_s=statistics.median(speeds),
    )


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _decoder(load: Load) -> Decoder:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / f"{load.name}.dbc").write_text(load.dbc)
        (path / f"{load.name}.toml").write_text(
            f'dbc = ["{load.name}.dbc"]\nj1939 = {str(load.j1939).lower()}\n'
        )
        return Decoder(compile_plan(load_profile(load.name, [path])))


def _peer(load: Load) -> Callable[[], float]:
    """cantools over all frames: the sum of its values, which are all decoded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "load.dbc"
        path.write_text(load.dbc)
        messages = load_messages(path)
    key = _group if load.j1939 else int
    decode_of = {
        key(m.frame_id | (int(EXTENDED_ID) if m.is_extended_frame else 0)): m.decode
        for m in messages
    }
    frames = load.frames

    def run() -> float:
        total = 0.0
        for can_id, payload in frames:
            decode = decode_of.get(key(can_id))
            if decode is not None:
                total += len(decode(payload, decode_choices=False))
        return total

    return run


def _group(can_id: int) -> int:
    """J1939 parameter group with its flag bit."""
    return can_id & (0x83FF_FF00 if can_id >> 16 & 0xFF >= 0xF0 else 0x83FF_0000)


def _same(decoder: Decoder, load: Load, peer: Callable[[], float]) -> None:
    """Same number of values as cantools; exactness itself is tested in tests/decoders."""
    signals = decoder.decode(load.batch(), Tails()).signals
    assert len(signals) == peer(), (load.name, len(signals), peer())
    assert np.isin(signals.frame_status, (0, 1)).all()


if __name__ == "__main__":
    sys.exit(main())

"""What batches and a compiled kernel buy: `python -m bench.decode`.

The peer is cantools' `Message.decode` frame by frame (choices off, message looked up in a plain
dict), in turns with ours in one process and in its own processor time; a ratio is that of the
best turns of a round, and of the rounds the median. Per workload:

    decode_numpy_*      the NumPy kernel, 5 000-frame batches, whole `SignalBatch`es
    decode_compiled_*   the compiled kernel, the same
    decode_100_*        the compiled kernel, 100-frame batches
    decode_product_*    `Decoder.decode` (with diagnosis and transport) as a share of the kernel's
                        bare C call
    decode_copy_*       bytes read and written by that C call, as a share of what copying reaches

Without the compiled kernel only the first claim is made. Both sides must give the same number of
values; that they are the same, bit by bit, is what tests/decoders/test_every_message.py shows.
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
from decoders.kernel_choice import COMPILED, kernel_name, open_kernel
from decoders.kernel_contract import Kernel
from decoders.kernel_numpy import NumpyKernel
from decoders.plan import Plan, compile_plan
from model.frames import EXTENDED_ID, FrameBatch

BATCH, SMALL, ROUNDS, TURNS = 5_000, 100, 7, 4
#: Floors: NumPy, compiled, 100 frames, share of copying.
FLOORS = {
    "passenger": (15.0, 150.0, 20.0, 0.25),
    "j1939": (12.0, 150.0, 20.0, 0.25),
    "mux_fd": (8.0, 50.0, 20.0, 0.08),
}
PRODUCT_FLOOR = 0.7
PEER = "cantools Message.decode per frame"
COPY_BYTES = 64 << 20
#: Bytes of a sample: time, value, quality. Of a frame: time, identifier, length.
SAMPLE_BYTES, FRAME_BYTES = 17, 13

Work = Callable[[], object]


def main() -> int:
    return max([_claims(make) for make in (passenger, j1939, mux_fd)])


def _claims(make: Callable[[int], Load]) -> int:
    load = make(BATCH)
    plan, batch = _plan(load), load.batch()
    numpy_floor, compiled_floor, small_floor, copy_floor = FLOORS[load.name]
    peer = _peer(load)
    _same(plan, batch, peer)
    codes = [_against(f"numpy_{load.name}", NumpyKernel(plan), batch, peer, numpy_floor, 20)]
    if kernel_name() != COMPILED:
        return max(codes)
    kernel = open_kernel(plan)
    codes.append(_against(f"compiled_{load.name}", kernel, batch, peer, compiled_floor, 200))
    small = make(SMALL)
    codes.append(
        _against(f"100_{load.name}", kernel, small.batch(), _peer(small), small_floor, 2000)
    )
    codes.append(_product_claim(load.name, plan, batch))
    codes.append(_copy_claim(load.name, kernel, batch, copy_floor))
    return max(codes)


def _against(
    claim: str, kernel: Kernel, batch: FrameBatch, peer: Work, floor: float, calls: int
) -> int:
    """One claim of a kernel against cantools."""

    def ours() -> object:
        return kernel.decode(batch).signals(())

    ratios, ours_s = _in_turns(peer, ours, max(1, calls // 100), calls)
    return report(
        claim=f"decode_{claim}",
        value=statistics.median(ratios),
        floor=floor,
        unit="x",
        peer=PEER,
        frames_per_s=len(batch) / ours_s,
    )


def _product_claim(name: str, plan: Plan, batch: FrameBatch) -> int:
    decoder, kernel = Decoder(plan), open_kernel(plan)
    ratios, _ = _in_turns(
        lambda: kernel.decode(batch), lambda: decoder.decode(batch, Tails()), 200, 200
    )
    return report(
        claim=f"decode_product_{name}",
        value=statistics.median(ratios),
        floor=PRODUCT_FLOOR,
        unit="share",
        peer="the compiled kernel alone",
    )


def _copy_claim(name: str, kernel: Kernel, batch: FrameBatch, floor: float) -> int:
    source = np.ones(COPY_BYTES, np.uint8)
    target = np.zeros_like(source)
    payload = batch.payload8.nbytes + batch.payload64.nbytes
    samples = len(kernel.decode(batch).signals(()))
    moved = payload + FRAME_BYTES * len(batch) + SAMPLE_BYTES * samples
    ratios, _ = _in_turns(lambda: np.copyto(target, source), lambda: kernel.decode(batch), 2, 200)
    share = statistics.median(ratios) * moved / (2 * COPY_BYTES)
    return report(
        claim=f"decode_copy_{name}", value=share, floor=floor, unit="share", peer="memory copy"
    )


def _in_turns(theirs: Work, ours: Work, their_calls: int, calls: int) -> tuple[list[float], float]:
    """Time of one call of theirs over one of ours, per round; and the median of ours."""
    seconds(ours, calls)
    ratios, times = [], []
    for _ in range(ROUNDS):
        turns = [(seconds(ours, calls), seconds(theirs, their_calls)) for _ in range(TURNS)]
        mine, others = (min(times) for times in zip(*turns, strict=True))
        ratios.append(others / mine)
        times.append(mine)
    return ratios, statistics.median(times)


def seconds(work: Work, calls: int) -> float:
    """Processor time of one call, this thread's: other work on the machine must not decide."""
    work()  # into the caches that the other side used
    start = time.thread_time()
    for _ in range(calls):
        work()
    return (time.thread_time() - start) / calls


def _plan(load: Load) -> Plan:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / f"{load.name}.dbc").write_text(load.dbc)
        (path / f"{load.name}.toml").write_text(
            f'dbc = ["{load.name}.dbc"]\nj1939 = {str(load.j1939).lower()}\n'
        )
        return compile_plan(load_profile(load.name, [path]))


def _peer(load: Load) -> Callable[[], float]:
    """cantools over all frames: the number of its values, which are all decoded."""
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


def _same(plan: Plan, batch: FrameBatch, peer: Callable[[], float]) -> None:
    """Same number of values as cantools; exactness itself is tested in tests/decoders."""
    signals = Decoder(plan).decode(batch, Tails()).signals
    assert len(signals) == peer(), (len(signals), peer())
    assert np.isin(signals.frame_status, (0, 1)).all()


if __name__ == "__main__":
    sys.exit(main())

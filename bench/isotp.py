"""Diagnostic messages out of overheard frames: `python -m bench.isotp`.

The peer is can-isotp, one transport layer a speaker, its receiver fed from a queue that is filled
beforehand, so that it never waits; its flow control goes nowhere. Same frames, in turns in one
process, processor time, both give the same payloads; a ratio is the median over the rounds.

Messages of 16 speakers side by side in batches of 5 000 frames, by `whole_messages`:
`isotp_single` are answers of 7 bytes (one frame), `isotp_vin` of 20 (3 frames), `isotp_codes` of
200 (29 frames). Messages that a batch cuts, and those of small batches, go through the state
machine, frame by frame, which these claims are not about.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import isotp
import numpy as np

from bench._database import report
from bench._decode_loads import SEED, START_NS
from decoders.iso15765_batch import whole_messages
from model.frames import FrameBatch, frame_batch

BATCH, ROUNDS, TURNS = 5_000, 15, 8
SIZES = {"single": 7, "vin": 20, "codes": 200}
FLOOR = 10.0
SPEAKERS = [(bus, can_id) for bus in (0, 1) for can_id in range(0x7E8, 0x7F0)]
STEP_NS = 350_000

Speaker = tuple[int, int]
Said = list[tuple[Speaker, bytes]]


def main() -> int:
    return max([_claim(name, size) for name, size in SIZES.items()])


def _claim(name: str, size: int) -> int:
    said = _traffic(size)
    batch, rows = _batch(said), np.arange(len(said))

    def ours() -> list[bytes]:
        return list(whole_messages(batch, rows, lambda _: True).payloads.values())

    wanted = sorted(_theirs(said)())
    assert len(wanted) * len(list(_frames(bytes(size)))) == len(said), "every message is whole"
    assert sorted(ours()) == wanted, "both must read the same"
    ratios, speeds = [], []
    for _ in range(ROUNDS):
        ours_s = _seconds([ours] * TURNS)
        ratios.append(_seconds([_theirs(said)]) / ours_s)
        speeds.append(len(said) / ours_s)
    return report(
        claim=f"isotp_{name}",
        value=statistics.median(ratios),
        floor=FLOOR,
        unit="x",
        peer="can-isotp",
        frames_per_s=statistics.median(speeds),
    )


def _seconds(works: Sequence[Callable[[], object]]) -> float:
    start = time.process_time()
    for work in works:
        work()
    return (time.process_time() - start) / len(works)


def _traffic(size: int) -> Said:
    """Random messages of all speakers, frame by frame in turns, at most a batch of them."""
    draw = random.Random(SEED)
    count = BATCH // len(SPEAKERS) // len(list(_frames(bytes(size))))
    queues = [
        (speaker, [f for _ in range(count) for f in _frames(draw.randbytes(size))])
        for speaker in SPEAKERS
    ]
    return [(speaker, frames[k]) for k in range(len(queues[0][1])) for speaker, frames in queues]


def _frames(payload: bytes) -> Iterator[bytes]:
    if len(payload) < 8:
        yield bytes([len(payload)]) + payload
        return
    yield bytes([0x10, len(payload)]) + payload[:6]
    for number, at in enumerate(range(6, len(payload), 7), 1):
        yield (bytes([0x20 | number & 15]) + payload[at : at + 7]).ljust(8, b"\xaa")


def _batch(said: Said) -> FrameBatch:
    return frame_batch(
        observed_ns=START_NS + np.arange(len(said)) * STEP_NS,
        can_id=np.array([can_id for (_, can_id), _ in said], np.uint32),
        bus=np.array([bus for (bus, _), _ in said], np.uint8),
        length=np.full(len(said), 8, np.uint8),
        payload8=np.frombuffer(b"".join(frame for _, frame in said), np.uint8).reshape(-1, 8),
    )


def _theirs(said: Said) -> Callable[[], list[bytes]]:
    """Its payloads; everything it can be given beforehand is."""
    layers = []
    for speaker in SPEAKERS:
        queue = deque(
            isotp.CanMessage(arbitration_id=speaker[1], dlc=8, data=frame)
            for one, frame in said
            if one == speaker
        )

        def receive(_: float, queue: deque[isotp.CanMessage] = queue) -> isotp.CanMessage | None:
            return queue.popleft() if queue else None

        address = isotp.Address(txid=speaker[1] - 8, rxid=speaker[1])
        layers.append((queue, isotp.TransportLayerLogic(receive, lambda _: None, address)))

    def run() -> list[bytes]:
        found = []
        for queue, layer in layers:
            while queue:
                layer.process()
            while (payload := layer.recv()) is not None:
                found.append(bytes(payload))
        return found

    return run


if __name__ == "__main__":
    sys.exit(main())

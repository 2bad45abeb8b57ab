"""Small encoders of the diagnostic services, and messages cut into CAN frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from decoders.answers import Heard
from decoders.iso15765_addresses import AddressBook, Link
from decoders.listening import Listening, Tails
from model.frames import FrameBatch
from tests.decoders.build import Frame, make_batch

MS = 1_000_000
VIN = "LSVAA4182E2184847"


def iso_tp(payload: bytes, *, address: int | None = None, width: int = 8) -> list[bytes]:
    """ISO 15765-2 frames of a message; `width` 12 .. 64 is CAN FD. The last frame is padded."""
    head = b"" if address is None else bytes([address])
    room = width - len(head)
    if len(payload) <= 7 - len(head):
        return [(head + bytes([len(payload)]) + payload).ljust(8, b"\xaa")]
    if width > 8 and len(payload) <= room - 2:
        return [(head + bytes([0, len(payload)]) + payload).ljust(width, b"\xaa")]
    size = len(payload).to_bytes(2, "big")
    control = bytes([0x10 | size[0], size[1]])
    if len(payload) > 4095:
        control = b"\x10\x00" + len(payload).to_bytes(4, "big")
    first = room - len(control)
    frames = [head + control + payload[:first]]
    for number, at in enumerate(range(first, len(payload), room - 1), 1):
        part = bytes([0x20 | number % 16]) + payload[at : at + room - 1]
        frames.append((head + part).ljust(width, b"\xaa"))
    return frames


def frames_of(can_id: int, payload: bytes) -> list[Frame]:
    """The same with the identifier."""
    return [(can_id, frame) for frame in iso_tp(payload)]


def hear(
    frames: Sequence[Frame],
    *,
    j1939: bool = False,
    gap_ns: int = MS,
    links: Sequence[Link] = (),
    ordinary: Sequence[int] = (),
) -> Heard:
    """What a batch of these frames says."""
    batch = make_batch(frames, range(0, len(frames) * gap_ns, gap_ns))
    return hear_batch(batch, Listening(AddressBook(links, ordinary), j1939))


def hear_batch(batch: FrameBatch, listening: Listening) -> Heard:
    heard, _ = listening.listen(batch, Tails(), np.zeros(len(batch), np.uint8))
    return heard


def two_bytes(code: str) -> bytes:
    """A J2012 text by its bits, one by one."""
    system, digit, rest = "PCBU".index(code[0]), int(code[1]), int(code[2:], 16)
    return (system * 0x4000 + digit * 0x1000 + rest).to_bytes(2, "big")

"""Messages on their way as rows of JSON, from one batch of a vehicle to the next."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence

#: What a session needs beside its bytes, and what it has received.
Session = tuple[Sequence[int], bytearray]


def to_rows(newest_first: Iterable[Session], room: int) -> list[list[int | str]]:
    """The newest sessions that fit `room` bytes, the oldest of them first."""
    rows: list[list[int | str]] = []
    for numbers, received in newest_first:
        room -= len(received)
        if room < 0:
            break
        rows.append([*numbers, b64encode(received).decode()])
    return rows[::-1]


def from_rows(rows: Iterable[Sequence[int | str]]) -> Iterator[Session]:
    """Inverse of `to_rows`, the oldest session first."""
    for *numbers, received in rows:
        yield [int(number) for number in numbers], bytearray(b64decode(str(received)))

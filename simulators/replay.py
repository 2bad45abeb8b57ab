"""Real log files as if a vehicle sent them now.

A log is cut into uploads of at most one second of log time and 1 000 frames. An upload's id comes
from the file's content, the time shift and the upload's number, so that any replay of the same
file at the same times says the same thing, whatever its speed and however often it was stopped.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ingest.log_files import read_log
from model.clock import NS, Clock
from model.errors import DecodeError
from model.frames import FrameBatch
from simulators.gateway import Gateway, Retry, Totals
from simulators.journal import Journal
from simulators.pace import pace

UPLOAD_NS = NS
UPLOAD_FRAMES = 1_000


@dataclass(frozen=True, slots=True)
class Survey:
    """What a log holds."""

    path: Path
    digest: str
    frames: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """For a progress bar: frames of all files, and what the gateway has done so far."""

    frames: int
    totals: Totals


def survey(path: Path) -> Survey:
    """Read a log once. Raises DecodeError for a file of no known format, or without frames."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    frames, first_ns, last_ns = 0, 2**63 - 1, -(2**63)
    for batch in read_log(path):
        frames += len(batch)
        first_ns = min(first_ns, int(batch.observed_ns.min()))
        last_ns = max(last_ns, int(batch.observed_ns.max()))
    if not frames:
        raise DecodeError(f"{path.name}: no frames")
    return Survey(path, digest, frames, first_ns, last_ns)


def uploads(log: Survey, vin: str, shift_ns: int) -> Iterator[FrameBatch]:
    """The uploads of a log, in order, times shifted by `shift_ns`."""
    number = 0
    shift_mark = f"-{shift_ns:x}" if shift_ns else ""
    for batch in read_log(log.path, vin=vin, batch_frames=UPLOAD_FRAMES):
        second = (batch.observed_ns - log.first_ns) // UPLOAD_NS
        for wanted in np.unique(second):
            part = batch.take(np.flatnonzero(second == wanted))
            yield replace(
                part,
                batch_id=f"replay-{log.digest[:16]}{shift_mark}-{number}",
                observed_ns=part.observed_ns + shift_ns,
            )
            number += 1


async def replay(
    files: Sequence[Path],
    vin: str,
    *,
    to: str,
    token: str,
    clock: Clock,
    speed: float | None = None,
    shift: bool = False,
    journal: Path | None = None,
    shuffle: int | None = None,
    connections: int = 4,
    retry: Retry | None = None,
    progress: Callable[[ReplayProgress], None] | None = None,
) -> Totals:
    """Push log files as one vehicle; return when all is acknowledged.

    `speed` is times real time, None as fast as the other side takes it. `shift` moves all files by
    the same time so that the newest frame is of now. With a `journal` an interrupted replay goes
    on where it stopped, with the shift of its first run. `shuffle` sends the uploads in a random
    order as fast as they go (all are held in memory; for tests).
    """
    logs = [await asyncio.to_thread(survey, path) for path in files]
    frames = sum(log.frames for log in logs)
    shift_ns = clock.now_ns() - max(log.last_ns for log in logs) if shift else 0
    book = Journal(journal, {"shift_ns": shift_ns}) if journal is not None else None
    if book is not None:
        shift_ns = book.facts["shift_ns"]

    def report(totals: Totals) -> None:
        if progress is not None:
            progress(ReplayProgress(frames, totals))

    gateway = Gateway(
        to, token, connections=connections, journal=book, retry=retry, progress=report
    )
    ordered: Iterable[FrameBatch] = (u for log in logs for u in uploads(log, vin, shift_ns))
    if shuffle is not None:
        mixed = list(ordered)
        random.Random(shuffle).shuffle(mixed)  # noqa: S311
        ordered, speed = mixed, None
    try:
        return await gateway.send(pace(ordered, speed, gateway.skip))
    finally:
        if book is not None:
            book.close()

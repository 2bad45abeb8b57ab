"""Signal values as segments: one row for each vehicle, signal, source and minute of event time.

The summary columns (n, min, max, first, last, sum) are exact over all GOOD samples; the samples
themselves are kept on a grid of one second (the last of each), as `real` differences to the first
value, so that an odometer keeps its metres. The exact log is in `frame_block`.

A run whose times are not in order is sorted first, so first and last are by observed time; equal
times keep their order of arrival. A second upload of the same minute makes a second segment: every
read aggregates, so no key is needed (a key halves the rate, measured).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from model.clock import NS
from model.signals import Quality, SignalBatch
from store import copy_binary
from store.database import Connection

T = TypeVar("T")

STEP_MS = 1000
CELLS = 60
#: Samples worked on at once: the columns stay in the processor's cache.
CHUNK_SAMPLES = 100_000

COLUMNS = (
    ("vehicle_id", ">i4"),
    ("signal_id", ">i4"),
    ("source", ">i2"),
    ("time", ">i8"),
    ("step_ms", ">i4"),
    ("n", ">i4"),
    ("n_bad", ">i4"),
    ("vmin", ">f8"),
    ("vmax", ">f8"),
    ("vfirst", ">f8"),
    ("vlast", ">f8"),
    ("vsum", ">f8"),
)
COPY = (
    "copy signal_segment (vehicle_id, signal_id, source, time, step_ms, n, n_bad, vmin, vmax,"
    " vfirst, vlast, vsum, deltas) from stdin (format binary)"
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Columns of segment rows; `cells` is flat, row i has `width[i]` of them from `start[i]`."""

    run: Ints
    first_second: Ints
    n: Ints
    n_bad: Ints
    vmin: Floats
    vmax: Floats
    vfirst: Floats
    vlast: Floats
    vsum: Floats
    width: Ints
    start: Ints
    cells: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """One upload's signals and the numbers they are stored under."""

    vehicle_id: int
    signals: SignalBatch
    signal_ids: NDArray[np.int32]


def write(conn: Connection, uploads: Sequence[Upload]) -> int:
    """COPY the segments of many uploads; how many rows."""
    written = 0
    if not any(len(u.signals) for u in uploads):
        return 0
    with conn.cursor().copy(COPY) as copy:
        copy.write(copy_binary.HEADER)
        for encoded in _ahead(list(_encode(chunk)) for chunk in _chunks(uploads)):
            for rows, buffer in encoded:
                copy.write(buffer)
                written += rows
        copy.write(copy_binary.TRAILER)
    return written


def _ahead(made: Iterator[T]) -> Iterator[T]:
    """The same, each made while the one before is on its way to the server."""
    first = next(made, None)
    second = next(made, None)
    if first is None or second is None:
        yield from (item for item in (first, second) if item is not None)
        return
    yield first
    with ThreadPoolExecutor(1, "segments") as thread:
        while second is not None:
            pending = thread.submit(next, made, None)
            yield second
            second = pending.result()


def _chunks(uploads: Sequence[Upload]) -> Iterator[list[Upload]]:
    chunk: list[Upload] = []
    size = 0
    for upload in uploads:
        if chunk and size + len(upload.signals) > CHUNK_SAMPLES:
            yield chunk
            chunk, size = [], 0
        chunk.append(upload)
        size += len(upload.signals)
    if size:
        yield chunk


def _encode(uploads: Sequence[Upload]) -> Iterator[tuple[int, memoryview]]:
    """COPY rows of some uploads, grouped by their number of cells."""
    batches = [u.signals for u in uploads]
    runs = np.array([len(b.run_signal) for b in batches])
    lengths = np.delete(  # of runs; between two batches the difference means nothing
        np.diff(np.concatenate([b.run_start for b in batches])), np.cumsum(runs[:-1] + 1) - 1
    )
    vehicle = np.repeat(np.array([u.vehicle_id for u in uploads], np.int32), runs)
    signal = np.concatenate([u.signal_ids[u.signals.run_signal] for u in uploads])
    source = np.concatenate([b.run_source for b in batches])
    found = cut(
        lengths,
        np.concatenate([b.observed_ns for b in batches]),
        np.concatenate([b.value for b in batches]),
        np.concatenate([b.quality for b in batches]),
    )
    values: dict[str, NDArray[np.generic]] = {
        "vehicle_id": vehicle[found.run],
        "signal_id": signal[found.run],
        "source": source[found.run],
        "time": copy_binary.timestamps(found.first_second * NS),
        "step_ms": np.full(len(found.run), STEP_MS),
        **{c: getattr(found, c) for c, _ in COLUMNS[5:]},
    }
    widths = np.unique(found.width)
    if len(widths) == 1:  # whole minutes: nothing to sort out
        cells = found.cells.reshape(-1, int(widths[0]))
        yield len(found.run), copy_binary.rows(COLUMNS, values, cells)
        return
    for width in widths:
        rows = np.flatnonzero(found.width == width)
        cells = found.cells[found.start[rows, None] + np.arange(width)]
        yield len(rows), copy_binary.rows(COLUMNS, {k: v[rows] for k, v in values.items()}, cells)


def cut(lengths: Ints, observed_ns: Ints, value: Floats, quality: NDArray[np.uint8]) -> Segments:
    """Segments of runs laid end to end; run i has `lengths[i]` samples."""
    run = np.repeat(np.arange(len(lengths)), lengths)
    new_run = np.zeros(len(run), bool)
    new_run[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    if np.any((observed_ns[1:] < observed_ns[:-1]) & ~new_run[1:]):
        order = np.lexsort((observed_ns, run))
        observed_ns, value, quality = observed_ns[order], value[order], quality[order]
    second = observed_ns // NS
    minute = second // CELLS
    new_segment = new_run
    new_segment[1:] |= minute[1:] != minute[:-1]
    starts = np.flatnonzero(new_segment)
    n_all = np.diff(starts, append=len(run))
    good = quality == Quality.GOOD
    if good.all():
        return _summarise(_Samples(run, second, value, n_all), n_all, np.zeros_like(n_all))
    n = np.add.reduceat(good.astype(np.int64), starts) if len(starts) else n_all
    kept = good.copy()
    kept[starts[n == 0]] = True  # a minute without any GOOD sample keeps one, as NaN
    value = np.where(good, value, np.nan)
    samples = _Samples(run[kept], second[kept], value[kept], np.maximum(n, 1))
    return _summarise(samples, n, n_all - n)


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Samples in time order, laid end to end by segment; segment i has `counts[i]`, never 0."""

    run: Ints
    second: Ints
    value: Floats
    counts: Ints


def _summarise(samples: _Samples, n: Ints, n_bad: Ints) -> Segments:
    """Figures and cells of segments."""
    second, value, counts = samples.second, samples.value, samples.counts
    starts = np.cumsum(counts) - counts
    ends = starts + counts - 1
    first_second = second[starts]
    width = second[ends] - first_second + 1
    start = np.cumsum(width) - width
    vfirst = value[starts]
    last_of_cell = np.ones(len(second), bool)
    last_of_cell[:-1] = second[1:] != second[:-1]
    last_of_cell[ends] = True
    # Where a sample's cell lies: its segment's start, plus its second within the segment.
    place = second + np.repeat(start - first_second, counts)
    cells = np.full(int(width.sum()), np.nan, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        delta = (value - np.repeat(vfirst, counts)).astype(np.float32)
        cells[place[last_of_cell]] = delta[last_of_cell]
        vsum = np.add.reduceat(value, starts) if len(starts) else vfirst
    return Segments(
        run=samples.run[starts],
        first_second=first_second,
        n=n,
        n_bad=n_bad,
        vmin=np.minimum.reduceat(value, starts) if len(starts) else vfirst,
        vmax=np.maximum.reduceat(value, starts) if len(starts) else vfirst,
        vfirst=vfirst,
        vlast=value[ends],
        vsum=vsum,
        width=width,
        start=start,
        cells=cells,
    )

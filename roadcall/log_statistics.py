"""What a log holds, in numbers: frames and period per message, values per signal, statuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import orjson
from numpy.typing import NDArray

from model.clock import NS
from model.signals import Quality
from roadcall.log_output import can_id_text
from roadcall.log_samples import STATUS_NAMES, Block, Label

Rows = NDArray[np.intp]


@dataclass(slots=True)
class _Frames:
    """Frames of one identifier on one bus."""

    message: int
    count: int = 0
    first_ns: int = 2**63 - 1
    last_ns: int = -(2**63)

    @property
    def period_ms(self) -> float | None:
        """Mean time from frame to frame."""
        spans = self.count - 1
        return (self.last_ns - self.first_ns) / spans * 1000 / NS if spans > 0 else None


@dataclass(slots=True)
class _Values:
    """GOOD values of one signal, and how many samples were not."""

    count: int = 0
    minimum: float = np.inf
    maximum: float = -np.inf
    total: float = 0.0
    not_good: int = 0


class Statistics:
    """Adds up blocks; holds one row a message and one a signal, whatever the log's length."""

    def __init__(self, messages: tuple[str, ...], labels: list[Label]) -> None:
        self._messages, self._labels = messages, labels
        self._frames: dict[tuple[int, int], _Frames] = {}
        self._values: dict[int, _Values] = {}
        self._status: Counter[int] = Counter()

    def write(self, block: Block) -> None:
        """Add one block."""
        batch = block.frames
        key = batch.bus.astype(np.int64) << 32 | batch.can_id
        for number, rows in _groups(key):
            place = number >> 32, number & 0xFFFF_FFFF
            row = self._frames.setdefault(place, _Frames(int(block.frame_message[rows[0]])))
            times = batch.observed_ns[rows]
            row.count += len(rows)
            row.first_ns = min(row.first_ns, int(times.min()))
            row.last_ns = max(row.last_ns, int(times.max()))
        for label, rows in _groups(block.label):
            self._add_values(label, block, rows)
        self._status.update(dict(enumerate(np.bincount(block.frame_status).tolist())))

    def _add_values(self, label: int, block: Block, rows: Rows) -> None:
        row = self._values.setdefault(label, _Values())
        good = block.value[rows[block.quality[rows] == Quality.GOOD]]
        row.not_good += len(rows) - len(good)
        if len(good):
            row.count += len(good)
            row.minimum = min(row.minimum, float(good.min()))
            row.maximum = max(row.maximum, float(good.max()))
            row.total += float(good.sum())

    def message_rows(self) -> list[dict[str, object]]:
        """One row a bus and identifier."""
        return [
            {
                "bus": bus,
                "can_id": can_id_text(can_id),
                "message": self._messages[row.message] if row.message >= 0 else "",
                "frames": row.count,
                "period_ms": None if row.period_ms is None else round(row.period_ms, 3),
            }
            for (bus, can_id), row in sorted(self._frames.items())
        ]

    def signal_rows(self) -> list[dict[str, object]]:
        """One row a signal."""
        named = [(self._labels[label], row) for label, row in self._values.items()]
        return [
            {
                "message": label.message,
                "signal": label.signal,
                "unit": label.unit,
                "samples": row.count,
                "minimum": row.minimum if row.count else None,
                "maximum": row.maximum if row.count else None,
                "mean": row.total / row.count if row.count else None,
                "not_good": row.not_good,
            }
            for label, row in sorted(named, key=lambda pair: (pair[0].message, pair[0].signal))
        ]

    def status_rows(self) -> list[dict[str, object]]:
        """One row a frame status that occurred."""
        return [
            {"status": STATUS_NAMES[status], "frames": count}
            for status, count in sorted(self._status.items())
            if count
        ]


def _groups(key: NDArray[np.int64]) -> Iterator[tuple[int, Rows]]:
    """Each value and the rows that have it."""
    order = np.argsort(key, kind="stable")
    cuts = np.flatnonzero(np.diff(key[order])) + 1
    for rows in np.split(order, cuts) if len(key) else []:
        yield int(key[rows[0]]), rows


def write_statistics(statistics: Statistics, stream: BinaryIO, *, as_json: bool) -> None:
    """Three tables, or one JSON object a row with its kind."""
    tables = {
        "message": statistics.message_rows(),
        "signal": statistics.signal_rows(),
        "status": statistics.status_rows(),
    }
    for kind, rows in tables.items():
        if as_json:
            lines = [
                orjson.dumps({"kind": kind, **row}, option=orjson.OPT_APPEND_NEWLINE)
                for row in rows
            ]
            stream.write(b"".join(lines))
        elif rows:
            stream.write(_table(rows).encode())


def _table(rows: list[dict[str, object]]) -> str:
    texts = [list(rows[0]), *([_cell(v) for v in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in texts
    ]
    return "\n".join([*lines, "", ""])


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)

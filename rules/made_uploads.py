"""Uploads made by hand: what decoders would hand over, from plain lists of samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from model.codes import CodeProtocol, CodeReport, Dtc
from model.signals import Quality, SignalBatch, SignalTable

S = 10**9
#: 2024-01-01T00:00:00Z: far from zero, as real clocks are.
T0 = 1_704_067_200 * S


@dataclass(frozen=True, order=True)
class Sample:
    """One sample; value None = not good."""

    at_ns: int
    name: str
    value: float | None
    source: int = -1


@dataclass(frozen=True, order=True)
class Report:
    """One DM1-like report: all codes of one ECU."""

    at_ns: int
    ecu: int
    codes: tuple[str, ...]
    scope: str = "active"

    def as_report(self) -> CodeReport:
        listed = tuple(Dtc(CodeProtocol.J1939, self.ecu, code) for code in self.codes)
        return CodeReport(self.at_ns, 0, self.ecu, CodeProtocol.J1939, self.scope, listed)


Row = Sample | Report


def upload(rows: Iterable[Row]) -> tuple[SignalBatch, list[CodeReport]]:
    """Rows in arrival order as one upload."""
    rows = list(rows)
    samples = [row for row in rows if isinstance(row, Sample)]
    reports = [row.as_report() for row in rows if isinstance(row, Report)]
    return signal_batch(samples), reports


def signal_batch(samples: Sequence[Sample]) -> SignalBatch:
    """Signal-major runs in order of first appearance, frame order inside a run."""
    names = list(dict.fromkeys(s.name for s in samples))
    runs: dict[tuple[str, int], list[Sample]] = {}
    for sample in samples:
        runs.setdefault((sample.name, sample.source), []).append(sample)
    flat = [sample for run in runs.values() for sample in run]
    lengths = [len(run) for run in runs.values()]
    return SignalBatch(
        table=SignalTable("made", tuple(names), ("",) * len(names)),
        run_signal=np.array([names.index(name) for name, _ in runs], np.uint16),
        run_source=np.array([source for _, source in runs], np.int16),
        run_start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        observed_ns=np.array([s.at_ns for s in flat], np.int64),
        value=np.array([255.0 if s.value is None else s.value for s in flat], np.float64),
        quality=np.array(
            [Quality.ABNORMAL if s.value is None else Quality.GOOD for s in flat], np.uint8
        ),
        frame_status=np.zeros(0, np.uint8),
    )

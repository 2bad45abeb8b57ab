"""Samples as CSV, JSON lines, a table for a terminal, or Parquet.

observed_ns  ns since 1970-01-01 UTC          message, signal  as the DBC file names them
bus          from 0                           value            in `unit`; raw where abnormal
can_id       3 or 8 hex digits, as candump    quality          good, abnormal, invalid, ...
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import orjson

from model.errors import RoadcallError
from model.frames import EXTENDED_ID, ID_MASK
from model.signals import Quality
from roadcall.log_samples import Block, Label

COLUMNS = ("observed_ns", "bus", "can_id", "message", "signal", "value", "unit", "quality")
QUALITY = [q.name.lower() for q in Quality]
_EXTENDED, _ID = int(EXTENDED_ID), int(ID_MASK)
_WIDTHS = (19, 3, 8, 24, 32, 22, 8)

#: observed_ns, bus, can_id, label, value, quality.
Sample = tuple[int, int, str, int, float | int, str]


class MissingPackageError(RoadcallError):
    """A format needs a package that is not installed."""

    def __init__(self, *, what: str, package: str) -> None:
        super().__init__(f"{what} needs a package that is not installed: pip install {package}")


class SampleWriter(Protocol):
    """Writes blocks of samples in the order given."""

    def write(self, block: Block) -> None: ...

    def close(self) -> None: ...


def can_id_text(can_id: int) -> str:
    """As candump writes it."""
    return f"{can_id & _ID:08X}" if can_id & _EXTENDED else f"{can_id & _ID:03X}"


def samples_of(block: Block) -> Iterator[Sample]:
    """Row by row."""
    ids, which = np.unique(block.can_id, return_inverse=True)
    texts = [can_id_text(i) for i in ids.tolist()]
    return zip(
        block.observed_ns.tolist(),
        block.bus.tolist(),
        [texts[i] for i in which.tolist()],
        block.label.tolist(),
        block.values(),
        [QUALITY[q] for q in block.quality.tolist()],
        strict=True,
    )


class CsvWriter:
    """RFC 4180 with plain line feeds."""

    def __init__(self, stream: BinaryIO, labels: list[Label]) -> None:
        self._stream, self._labels = stream, labels
        self._cells: list[tuple[str, str]] = []
        stream.write((",".join(COLUMNS) + "\n").encode())

    def write(self, block: Block) -> None:
        for label in self._labels[len(self._cells) :]:
            self._cells.append((_cells(label.message, label.signal), _cells(label.unit)))
        cells = self._cells
        lines = [
            f"{t},{bus},{can_id},{cells[label][0]},{value},{cells[label][1]},{quality}\n"
            for t, bus, can_id, label, value, quality in samples_of(block)
        ]
        self._stream.write("".join(lines).encode())

    def close(self) -> None:
        """A CSV file just ends."""


def _cells(*texts: str) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(texts)
    # A row of one empty cell is written as "", which stands in no need of its quotes here.
    return "" if texts == ("",) else line.getvalue()


class JsonWriter:
    """One object a line; values that are no number are null."""

    def __init__(self, stream: BinaryIO, labels: list[Label]) -> None:
        self._stream, self._labels = stream, labels

    def write(self, block: Block) -> None:
        labels = self._labels
        lines = [
            orjson.dumps(
                {
                    "observed_ns": t,
                    "bus": bus,
                    "can_id": can_id,
                    "message": labels[label].message,
                    "signal": labels[label].signal,
                    "value": value,
                    "unit": labels[label].unit,
                    "quality": quality,
                },
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for t, bus, can_id, label, value, quality in samples_of(block)
        ]
        self._stream.write(b"".join(lines))

    def close(self) -> None:
        """A file of JSON lines just ends."""


class TableWriter:
    """Columns of fixed width, so that it streams; a longer name pushes the rest aside."""

    def __init__(self, stream: BinaryIO, labels: list[Label]) -> None:
        self._stream, self._labels = stream, labels
        self._line(*COLUMNS)

    def write(self, block: Block) -> None:
        for t, bus, can_id, label, value, quality in samples_of(block):
            of = self._labels[label]
            self._line(t, bus, can_id, of.message, of.signal, value, of.unit, quality)

    def close(self) -> None:
        """A table just ends."""

    def _line(self, *cells: object) -> None:
        padded = [f"{cell!s:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=False)]
        self._stream.write((" ".join([*padded, str(cells[-1])]) + "\n").encode())


class ParquetWriter:
    """One row group a block, names as dictionaries; values as float64."""

    def __init__(self, path: Path, labels: list[Label]) -> None:
        try:
            arrow, parquet = map(import_module, ("pyarrow", "pyarrow.parquet"))
        except ImportError:
            raise MissingPackageError(what="--format parquet", package="pyarrow") from None
        self._arrow: Any = arrow  # has no types
        self._labels = labels
        text = arrow.dictionary(arrow.int32(), arrow.string())
        kinds = (
            arrow.int64(), arrow.uint8(), text, text, text, arrow.float64(), text, text,
        )  # fmt: skip
        self._schema: Any = arrow.schema(list(zip(COLUMNS, kinds, strict=True)))
        self._writer: Any = parquet.ParquetWriter(path, self._schema)

    def write(self, block: Block) -> None:
        ids, which = np.unique(block.can_id, return_inverse=True)
        label, quality = block.label, block.quality
        columns = [
            self._arrow.array(block.observed_ns),
            self._arrow.array(block.bus),
            self._names(which, [can_id_text(i) for i in ids.tolist()]),
            self._names(label, [of.message for of in self._labels]),
            self._names(label, [of.signal for of in self._labels]),
            self._arrow.array(block.value),
            self._names(label, [of.unit for of in self._labels]),
            self._names(quality, QUALITY),
        ]
        self._writer.write_table(self._arrow.table(columns, schema=self._schema))

    def close(self) -> None:
        self._writer.close()

    def _names(self, index: Any, names: list[str]) -> Any:
        index = np.asarray(index, np.int32)
        return self._arrow.DictionaryArray.from_arrays(index, self._arrow.array(names, "string"))


def open_samples(kind: str, stream: BinaryIO | Path, labels: list[Label]) -> SampleWriter:
    """The writer of a format; only Parquet is given a path."""
    if isinstance(stream, Path):
        return ParquetWriter(stream, labels)
    if kind == "csv":
        return CsvWriter(stream, labels)
    return JsonWriter(stream, labels) if kind == "jsonl" else TableWriter(stream, labels)

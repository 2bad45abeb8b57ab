"""Files of master records: CSV with a line of field names, a JSON array, or one JSON object a line.

CSV: comma, semicolon or tab; UTF-8 with or without byte order mark, or GB 18030 (what Chinese Excel
writes). An empty cell is a field left out. A list is written `tow;jump`, anything deeper as JSON.
Rows are read one by one, so a file may be larger than memory.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from pydantic import ValidationError

from model.errors import DecodeError, LimitExceededError
from model.record import Record

R = TypeVar("R", bound=Record)
#: A JSON array is held in memory whole; larger ones come as lines.
MAX_ARRAY_BYTES = 256_000_000
SAMPLE_BYTES = 65_536


class MasterFileError(DecodeError):
    """The file as a whole cannot be read."""


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with which field of which line; `field` is empty for the row as a whole."""

    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        return f"{self.line}: {self.field + ': ' if self.field else ''}{self.reason}"


@dataclass(frozen=True, slots=True)
class Row(Generic[R]):
    """One row: its record, or what is wrong with it. In a JSON array the line is the place."""

    line: int
    record: R | None
    faults: tuple[RowFault, ...] = ()


def read_rows(path: Path, model: type[R]) -> Iterator[Row[R]]:
    """Every row of a file. Raises MasterFileError, LimitExceededError or OSError."""
    with path.open("rb") as file:
        for line, fields in _fields(file, model):
            yield row_of(line, fields, model)


def count_rows(path: Path) -> int | None:
    """About how many rows there are; None where only reading tells."""
    with path.open("rb") as file:
        if file.read(SAMPLE_BYTES).lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"[":
            return None
        file.seek(0)
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def row_of(line: int, fields: object, model: type[R]) -> Row[R]:
    """One row from the fields somebody gave."""
    try:
        return Row(line, model.model_validate(fields))
    except ValidationError as error:
        return Row(line, None, tuple(_fault(line, e["loc"], e["msg"]) for e in error.errors()))


def _fault(line: int, place: tuple[int | str, ...], message: str) -> RowFault:
    reason = message.removeprefix("Value error, ")
    return RowFault(line, ".".join(map(str, place)), reason[:1].lower() + reason[1:])


def _fields(file: BinaryIO, model: type[Record]) -> Iterator[tuple[int, object]]:
    head = file.read(SAMPLE_BYTES)
    file.seek(0)
    match head.lstrip(b"\xef\xbb\xbf \r\n\t")[:1]:
        case b"[":
            yield from enumerate(_array(file), 1)
        case b"{":
            yield from _lines(file)
        case _:
            yield from _cells(file, head, model)


def _array(file: BinaryIO) -> list[object]:
    content = file.read(MAX_ARRAY_BYTES + 1)
    if len(content) > MAX_ARRAY_BYTES:
        raise LimitExceededError(what="bytes of an array", limit=MAX_ARRAY_BYTES, got=len(content))
    try:
        rows = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise MasterFileError(f"not JSON: {_where(error)}") from error
    assert isinstance(rows, list), "it began with a bracket"
    return rows


def _lines(file: BinaryIO) -> Iterator[tuple[int, object]]:
    for line, content in enumerate(file, 1):
        if content.strip():
            try:
                yield line, json.loads(content.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                raise MasterFileError(f"line {line}: not JSON: {_where(error)}") from error


def _cells(
    file: BinaryIO, head: bytes, model: type[Record]
) -> Iterator[tuple[int, dict[str, object]]]:
    text = io.TextIOWrapper(file, encoding=_encoding(head), newline="")
    first = head.split(b"\n", 1)[0]
    delimiter = max(",;\t", key=lambda mark: first.count(mark.encode()))
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = 1
    try:
        names = [cell.strip() for cell in next(reader, [])]
        _check_names(names, model)
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, _row(names, cells, model)
            line = reader.line_num + 1
    except (csv.Error, UnicodeDecodeError) as error:
        raise MasterFileError(f"line {line}: {_where(error)}") from error
    finally:
        text.detach()


def _encoding(head: bytes) -> str:
    """Of the whole file, by its first part, whose last character may be cut."""
    try:
        head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        cut = len(head) == SAMPLE_BYTES and error.start >= len(head) - 4
        return "utf-8-sig" if cut else "gb18030"
    return "utf-8-sig"


def _check_names(names: list[str], model: type[Record]) -> None:
    unknown = [name[:40] for name in names if name not in model.model_fields]
    if unknown or not names:
        known = ", ".join(model.model_fields)
        raise MasterFileError(f"line 1: unknown columns {unknown}, known: {known}")
    if len(set(names)) < len(names):
        raise MasterFileError("line 1: a column is named twice")


def _row(names: list[str], cells: list[str], model: type[Record]) -> dict[str, object]:
    fields = {
        name: _value(cell.strip(), name, model)
        for name, cell in zip(names, cells, strict=False)
        if cell.strip()
    }
    if len(cells) > len(names):
        fields[f"column {len(names) + 1}"] = "more cells than columns"
    return fields


def _value(cell: str, name: str, model: type[Record]) -> object:
    """A cell as the field wants it; what does not fit is left to the model to refuse."""
    if cell[0] in "[{":
        try:
            found: object = json.loads(cell)
        except (ValueError, RecursionError):
            return cell
        return found
    if name in _lists(model):
        return [part.strip() for part in cell.split(";") if part.strip()]
    return cell


def _lists(model: type[Record]) -> frozenset[str]:
    """Fields that hold a set of words."""
    kinds: Mapping[str, object] = {n: f.annotation for n, f in model.model_fields.items()}
    return frozenset(n for n, kind in kinds.items() if str(kind).startswith("frozenset"))


def _where(error: Exception) -> str:
    """Without the content: it may be personal."""
    if isinstance(error, UnicodeDecodeError):
        return f"neither UTF-8 nor GB 18030 at byte {error.start}"
    return str(error).splitlines()[0][:200]

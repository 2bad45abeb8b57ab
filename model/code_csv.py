"""A list of trouble codes as makers, licensers and spreadsheets give it: CSV.

    code,zh,en,system,severity,action

`code` and one text are needed. Comma, semicolon or tab; UTF-8 with or without byte order mark,
UTF-16 with one, GBK and GB 18030 (what Chinese Excel writes). Column names and the words in
system, severity and action may be ours in either language.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from model.code_book import ListedCode
from model.code_names import CodeNameError, key_of
from model.code_texts import code_book
from model.errors import DecodeError, LimitExceededError
from model.severity import Severity

#: Four times the largest list known to us; a bigger file is a mistake.
MAX_BYTES = 16_000_000
MAX_ROWS = 100_000
MAX_TEXT = 200

COLUMNS = {
    "code": ("code", "dtc", "故障码"),
    "zh": ("zh", "zh-cn", "中文", "中文说明"),
    "en": ("en", "english", "英文", "英文说明"),
    "system": ("system", "系统"),
    "severity": ("severity", "严重度", "等级"),
    "action": ("action", "措施", "建议"),
}


class CodeListError(DecodeError):
    """The file as a whole cannot be read; rows are not looked at."""


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong, and in which line of the file."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class CodeFile:
    """Good rows by code, and every fault."""

    codes: dict[str, ListedCode]
    faults: tuple[RowFault, ...]


def read_codes(data: bytes) -> CodeFile:
    """The rows of a CSV file. Raises CodeListError or LimitExceededError."""
    if len(data) > MAX_BYTES:
        raise LimitExceededError(what="bytes of a code list", limit=MAX_BYTES, got=len(data))
    rows = _rows(_decoded(data))
    columns = _columns(next(rows, (1, []))[1])
    codes: dict[str, ListedCode] = {}
    lines: dict[str, int] = {}
    faults: list[RowFault] = []
    for number, (line, cells) in enumerate(rows):
        if number >= MAX_ROWS:
            raise LimitExceededError(what="rows of a code list", limit=MAX_ROWS, got=number + 1)
        row, texts = _row(dict(zip(columns, cells, strict=False)))
        if len(cells) > len(columns):
            texts.append(f"{len(cells)} cells under {len(columns)} columns")
        if row.code and row.code in codes:
            texts.append(f"{row.code} is already in line {lines[row.code]}")
        faults += [RowFault(line, text) for text in texts]
        if not texts:
            codes[row.code], lines[row.code] = row, line
    return CodeFile(codes, tuple(faults))


def _decoded(data: bytes) -> str:
    encodings = ["utf-8-sig", "gb18030"]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise CodeListError("neither UTF-8 nor GBK text")


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Lines that hold something, with the number of their first line."""
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = 1
    try:
        for cells in reader:
            stripped = [" ".join(cell.split()) for cell in cells]
            while stripped and not stripped[-1]:
                stripped.pop()
            if stripped:
                yield line, stripped
            line = reader.line_num + 1
    except csv.Error as error:
        raise CodeListError(f"line {line}: {error}") from error


def _columns(head: list[str]) -> list[str]:
    meaning = {alias: name for name, aliases in COLUMNS.items() for alias in aliases}
    columns = [meaning.get(cell.casefold(), "") for cell in head]
    unknown = [cell[:40] for cell, column in zip(head, columns, strict=True) if not column]
    if unknown:
        raise CodeListError(f"line 1: unknown columns {unknown}, known: {', '.join(COLUMNS)}")
    if len(set(columns)) < len(columns):
        raise CodeListError("line 1: a column is named twice")
    if "code" not in columns or not {"zh", "en"} & set(columns):
        raise CodeListError("line 1: columns code and zh or en are needed")
    return columns


def _row(cells: dict[str, str]) -> tuple[ListedCode, list[str]]:
    """The row, and what is wrong with it; a faulty cell is left empty."""
    faults: list[str] = []
    code, zh, en = "", cells.get("zh", ""), cells.get("en", "")
    try:
        code = key_of(cells.get("code", ""))
    except CodeNameError as error:
        faults.append(str(error))
    if not zh and not en:
        faults.append("no text in zh or en")
    for name, text in (("zh", zh), ("en", en)):
        if len(text) > MAX_TEXT:
            faults.append(f"{name} has {len(text)} characters, at most {MAX_TEXT}")
        if not text.isprintable():
            faults.append(f"{name} holds control characters")
    ours: dict[str, str] = {}
    for name, known in _words().items():
        word = cells.get(name, "")
        ours[name] = known.get(word.casefold(), "")
        if word and not ours[name]:
            listed = ", ".join(dict.fromkeys(known.values()))
            faults.append(f"unknown {name} {word[:40]!r}, known: {listed}")
    severity = Severity(int(ours["severity"])) if ours["severity"] else None
    system, action = ours["system"], ours["action"]
    row = ListedCode(code=code, zh=zh, en=en, system=system, severity=severity, action=action)
    return row, faults


@cache
def _words() -> dict[str, dict[str, str]]:
    """Per column: what may be written (casefolded) and our own word for it."""
    book = code_book()
    system: dict[str, str] = {}
    severity: dict[str, str] = {}
    for name, term in book.systems.items():
        system |= dict.fromkeys((name, term.zh, term.en.casefold()), name)
    for grade, term in book.severities.items():
        own = str(int(grade))
        severity |= dict.fromkeys((own, term.zh, term.en.casefold(), grade.name.casefold()), own)
    return {"system": system, "severity": severity, "action": {a: a for a in book.actions}}

"""Reads DBC, ARXML, KCD and SYM files with cantools, DBC files after mending them.

The only module that imports cantools; workers run cached plans.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dbc.profile import ProfileError
from dbc.repair import Remark, Repaired, repair

if TYPE_CHECKING:
    from cantools.database.can import Message

FORMATS = {".arxml": "arxml", ".kcd": "kcd", ".sym": "sym", ".dbc": "dbc"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Messages in file order, and what had to be mended to read them."""

    messages: tuple[Message, ...]
    repairs: tuple[Remark, ...] = ()


def load_messages(path: Path) -> list[Message]:
    """Messages of one file; repairs are counted in the log. Raises `ProfileError`."""
    loaded = load_file(path)
    if loaded.repairs:
        _log.info("%s: %d repairs, see `roadcall dbc check`", path.name, len(loaded.repairs))
    return list(loaded.messages)


def load_file(path: Path) -> Loaded:
    """Messages of one file, whose suffix says what it is; DBC where it says nothing.

    Raises `ProfileError` with every fault when it cannot be read. Not strict: signals that
    overlap or leave their message decode as far as they are there.
    """
    kind = FORMATS.get(path.suffix.lower(), "dbc")
    if kind == "dbc":
        return _load_dbc(path)
    return Loaded(_messages(path, kind, None))


def _load_dbc(path: Path) -> Loaded:
    content = path.read_bytes()
    mended = repair(content)
    _refuse(path, mended)
    try:
        return Loaded(_messages(path, "dbc", mended.text), mended.repairs)
    except ProfileError as error:
        # Comments and attributes are not worth a file.
        plain = repair(content, keep_about=False)
        messages = _messages(path, "dbc", plain.text)
        remark = Remark(1, f"comments and attributes left out: {error}")
        return Loaded(messages, (remark, *plain.repairs))


def _refuse(path: Path, mended: Repaired) -> None:
    if mended.faults:
        raise ProfileError([f"{path}:{fault.line}: {fault.text}" for fault in mended.faults])


def _messages(path: Path, kind: str, text: str | None) -> tuple[Message, ...]:
    """What cantools reads from the text, or from the file where there is none."""
    import cantools

    # Duplicate ids are reported by us; cantools' own log line would come without a file name.
    logging.getLogger("cantools").setLevel(logging.ERROR)
    try:
        database = (
            cantools.database.load_file(path, database_format=kind, strict=False)
            if text is None
            else cantools.database.load_string(text, database_format=kind, strict=False)
        )
    except Exception as error:
        raise ProfileError([f"{path}: {kind}: {error}"]) from error
    assert isinstance(database, cantools.database.Database)
    return tuple(database.messages)

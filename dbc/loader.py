"""Reads DBC files with cantools. The only module that imports it; workers run cached plans."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from dbc.profile import ProfileError

if TYPE_CHECKING:
    from cantools.database.can import Message


def load_messages(path: Path) -> list[Message]:
    """Messages of one DBC file, in file order. Raises `ProfileError` when it cannot be read.

    Not strict: signals that overlap or leave their message decode as far as they are there.
    """
    import cantools

    # Duplicate ids are reported by us; cantools' own log line would come without a file name.
    logging.getLogger("cantools").setLevel(logging.ERROR)
    try:
        database = cantools.database.load_file(path, database_format="dbc", strict=False)
    except Exception as error:
        raise ProfileError([f"{path}: dbc: {error}"]) from error
    assert isinstance(database, cantools.database.Database)
    return list(database.messages)

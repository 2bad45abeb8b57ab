"""Cursors: where the next page of a list starts, opaque to the caller."""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from console.bodies import Page
from console.problems import field_problem

Row = TypeVar("Row")
Place = tuple[str | int | float, ...]

#: No cursor of ours is longer; a longer one is not decoded at all.
MAX_CURSOR = 400
PAGE_AT_MOST = 200


def write_cursor(place: Place) -> str:
    """The cursor of a place in a list."""
    packed = json.dumps(place, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_cursor(cursor: str, shape: tuple[type, ...]) -> Place:
    """The place, its parts as `shape` says. Raises a 422 problem for anything not written by us."""
    try:
        packed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        found = json.loads(packed) if len(cursor) <= MAX_CURSOR else None
    except (ValueError, binascii.Error, RecursionError):
        found = None
    place: list[str | int | float] = found if isinstance(found, list) else []
    if [type(part) for part in place] != list(shape) or not all(map(_storable, place)):
        raise field_problem("query.cursor", "not a cursor of this list")
    return tuple(place)


def _storable(part: object) -> bool:
    """Whether the database can compare with it: text there holds no NUL and no lone surrogate."""
    return not isinstance(part, str) or not any(
        c == "\0" or "\ud800" <= c <= "\udfff" for c in part
    )


def read_moment(text: object) -> datetime:
    """A time inside a cursor. Raises a 422 problem."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise field_problem("query.cursor", "not a cursor of this list")
    return moment


def read_id(text: object) -> uuid.UUID:
    """An id inside a cursor. Raises a 422 problem."""
    try:
        return uuid.UUID(str(text))
    except ValueError:
        raise field_problem("query.cursor", "not a cursor of this list") from None


def page_of(rows: Sequence[Row], limit: int, place: Callable[[Row], Place]) -> Page[Row]:
    """A page from up to limit + 1 rows; the extra row only says that there is more."""
    items = list(rows[:limit])
    more = len(rows) > limit
    return Page(items=items, next_cursor=write_cursor(place(items[-1])) if more else None)

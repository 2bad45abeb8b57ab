"""The operator's terms: TOML files that ship with us, and what an installation says otherwise.

A file of the same name in a folder of `ROADCALL_TERMS_PATH` is laid over ours: tables key by key,
anything else in our one's place. So it holds only what differs: a brand's promise, a year's days
off.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any  # TOML has no closed type

from model.errors import RoadcallError

#: Files that may be changed, and the package each one is of.
PACKAGES = {
    "alert_messages.toml": "dispatch",
    "cadence.toml": "dispatch",
    "calendars.toml": "model",
    "clocks.toml": "dispatch",
    "maintenance_words.toml": "dispatch",
    "messages.toml": "dispatch",
    "notices.toml": "dispatch",
    "profiles.toml": "dispatch",
    "rescue_messages.toml": "dispatch",
    "station_day.toml": "dispatch",
    "station_messages.toml": "dispatch",
    "suppression.toml": "dispatch",
    "work.toml": "dispatch",
    "work_messages.toml": "dispatch",
}
_FOLDERS: list[Path] = []

Table = dict[str, Any]


class TermsError(RoadcallError):
    """A file of terms is wrong: names the file and what is wrong with it."""


def use_folders(folders: Sequence[Path]) -> None:
    """Read the operator's files from now on; call it before anything is read, once a process.

    Raises TermsError for a folder that is none, and for files nobody would read.
    """
    for folder in folders:
        if not folder.is_dir():
            raise TermsError(f"{folder.name}: no such folder")
        strange = sorted(f.name for f in folder.glob("*.toml") if f.name not in PACKAGES)
        if strange:
            raise TermsError(f"{strange[0]}: not one of {', '.join(PACKAGES)}")
    _FOLDERS[:] = folders


def read_terms(name: str) -> Table:
    """A file's tables, the operator's laid over ours. Raises TermsError."""
    found = shipped(name)
    for folder in _FOLDERS:
        if (folder / name).exists():
            found = laid_over(found, _read(folder / name))
    return found


def shipped(name: str) -> Table:
    """A file's tables as they come with us."""
    return tomllib.loads(files(PACKAGES[name]).joinpath(name).read_text("utf-8"))


def laid_over(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Table:
    """Theirs where both say something; tables key by key.

    >>> laid_over({"a": {"x": 1, "y": [1]}}, {"a": {"y": [2]}, "b": 3})
    {'a': {'x': 1, 'y': [2]}, 'b': 3}
    """
    merged = dict(ours)
    for key, value in theirs.items():
        known = merged.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[key] = laid_over(known, value) if both else value  # type: ignore[arg-type]
    return merged


def _read(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TermsError(f"{path.name}: {error}") from None

"""Texts for people from data files, checked when they are loaded.

A file is a table of [key] zh, en. Both languages must be there and name the same facts; a fact
whose name ends in _zh or _en is the same one in each language.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from functools import cache

from model.errors import RoadcallError
from model.terms_files import PACKAGES, read_terms, shipped

LANGUAGES = ("zh", "en")


class TemplateError(RoadcallError):
    """A text file is wrong: names the file, the key and what is wrong with it."""


@cache
def load_texts(name: str) -> dict[str, dict[str, str]]:
    """A file's texts, the operator's among them. Raises TemplateError with every fault found."""
    found, ours = check(name, read_terms(name)), shipped(name)
    strange = [key for key in found if key not in ours or not _told(found[key], ours[key])]
    if strange:
        raise TemplateError(f"{name}: {', '.join(strange)}: no such text, or facts it is not told")
    return found


def load_every() -> list[str]:
    """Check every file of messages now rather than with the first message; their names."""
    names = [name for name in PACKAGES if name.endswith(("messages.toml", "words.toml"))]
    for name in names:
        load_texts(name)
    return names


def check(name: str, found: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """The texts of a file's tables. Raises TemplateError with every fault found."""
    faults = [f"{name}: {key}: {why}" for key, row in found.items() for why in _faults(row)]
    if faults:
        raise TemplateError("; ".join(faults))
    return {key: dict(row) for key, row in found.items() if isinstance(row, dict)}


def _told(row: Mapping[str, str], ours: Mapping[str, str]) -> bool:
    """Whether our text is told every fact that another one names."""
    return _facts(row["zh"]) <= _facts(ours["zh"])


def _faults(row: object) -> list[str]:
    if not isinstance(row, dict) or set(row) != set(LANGUAGES):
        return ["wants zh and en, nothing else"]
    if not all(isinstance(text, str) and text.strip() for text in row.values()):
        return ["an empty text"]
    try:
        facts = {language: _facts(row[language]) for language in LANGUAGES}
    except ValueError as error:
        return [str(error)]
    differing = sorted(facts["zh"] ^ facts["en"])
    return [f"only one language names {', '.join(differing)}"] if differing else []


def _facts(template: str) -> set[str]:
    names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    for name in names:
        if not name.isidentifier():
            raise ValueError(f"not the name of a fact: {{{name}}}")
    return {re.sub("_(zh|en)$", "", name) for name in names}

"""Texts for people from data files, checked when they are loaded.

A file is a table of [key] zh, en. Both languages must be there and name the same facts; a fact
whose name ends in _zh or _en is the same one in each language.
"""

from __future__ import annotations

import re
import string
import tomllib
from functools import cache
from importlib.resources import files

from model.errors import RoadcallError

LANGUAGES = ("zh", "en")


class TemplateError(RoadcallError):
    """A text file is wrong: names the file, the key and what is wrong with it."""


@cache
def load_texts(name: str) -> dict[str, dict[str, str]]:
    """The texts of a file of this folder. Raises TemplateError with every fault found."""
    return check(name, files("dispatch").joinpath(name).read_text("utf-8"))


def load_every() -> list[str]:
    """Check every file of messages now rather than with the first message; their names."""
    folder = files("dispatch").iterdir()
    names = sorted(f.name for f in folder if f.name.endswith(("messages.toml", "words.toml")))
    for name in names:
        load_texts(name)
    return names


def check(name: str, text: str) -> dict[str, dict[str, str]]:
    """The texts of a file's content. Raises TemplateError with every fault found."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TemplateError(f"{name}: {error}") from None
    faults = [f"{name}: {key}: {why}" for key, row in found.items() for why in _faults(row)]
    if faults:
        raise TemplateError("; ".join(faults))
    return found


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

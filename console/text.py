"""The words of the pages in zh-CN and English, from console/text.toml and the signal catalogue."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from model.catalogue import find_signal, split_element

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")


@cache
def load_texts() -> dict[str, dict[str, str]]:
    """Every text: key -> {"zh": ..., "en": ...}."""
    return tomllib.loads(files("console").joinpath("text.toml").read_text("utf-8"))


@dataclass(frozen=True, slots=True)
class Speech:
    """One language. `speech("due_at", time="14:32")` is the filled text."""

    language: Language

    def __call__(self, key: str, **facts: object) -> str:
        return load_texts()[key][self.language].format(**facts)

    def maybe(self, key: str, otherwise: str) -> str:
        """The text if there is one: kinds and rules come from data and may be new."""
        return load_texts().get(key, {}).get(self.language, otherwise)


def both(key: str, otherwise: str) -> dict[str, str]:
    """The text in every language, for API answers."""
    return {lang: Speech(lang).maybe(key, otherwise) for lang in LANGUAGES}


def signal_title(name: str) -> dict[str, str]:
    """A signal's name for people; a signal outside the catalogue keeps its own."""
    signal, element = find_signal(name), split_element(name)
    if signal is None:
        return {"zh": name, "en": name}
    number = f" {element[1]}" if element else ""
    return {"zh": signal.zh + number, "en": signal.en + number}


def rule_title(texts: Mapping[str, Mapping[str, str]], rule_id: str) -> dict[str, str]:
    """A rule's title; a rule the bundle no longer has is shown by its id."""
    known = texts.get(rule_id, {})
    return {lang: known.get(lang) or rule_id for lang in LANGUAGES}


def preferred(accept_language: str) -> Language:
    """The page language for a browser: the first of its languages we have, else zh."""
    for part in accept_language.split(","):
        tag = part.split(";")[0].strip().lower()
        for language in LANGUAGES:
            if tag.split("-")[0] == language:
                return language
    return "zh"

"""Texts are checked when they are loaded."""

from __future__ import annotations

import tomllib

import pytest

from dispatch.templates import TemplateError, check, load_every


def test_every_file_of_texts_is_right() -> None:
    assert {"messages.toml", "rescue_messages.toml", "work_messages.toml"} <= set(load_every())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[a]\nzh = '一'\n", "f.toml: a: wants zh and en"),
        ("[a]\nzh = '一'\nen = ' '\n", "an empty text"),
        ("[a]\nzh = '{plate}'\nen = '{plates}'\n", "only one language names plate, plates"),
        ("[a]\nzh = '{0}'\nen = '{0}'\n", r"not the name of a fact: \{0\}"),
        ("[a]\nzh = '{x'\nen = '{x'\n", "expected '}'"),
        ("[a]\nzh = '{x.__class__}'\nen = '{x.__class__}'\n", "not the name of a fact"),
        ("[a]\nzh = '一'\n[b]\nen = 'x'\n", "a: wants zh and en, nothing else; f.toml: b"),
    ],
)
def test_a_wrong_file_is_refused_with_every_fault(text: str, why: str) -> None:
    with pytest.raises(TemplateError, match=why):
        check("f.toml", tomllib.loads(text))


def test_a_fact_may_differ_by_language() -> None:
    assert check("f", {"a": {"zh": "{x_zh} {n:.0f}", "en": "{x_en} {n}"}})

"""Ranges in names: one line of a profile for many signals of the same kind.

"Cells.Cell{01..96}" = "cell_voltage_v[1..96]"    # Cell01 .. Cell96, elements 1 .. 96
"""

from __future__ import annotations

import re

from model.catalogue import element_name, split_element

_IN_KEY = re.compile(r"([^{}]*)\{(\d{1,5})\.\.(\d{1,5})\}([^{}]*)")
_IN_NAME = re.compile(r"([a-z0-9_]+)\[(\d{1,5})\.\.(\d{1,5})\]")
MOST = 4096


def expand_key(key: str) -> list[str]:
    """`Cell{01..03}` -> Cell01, Cell02, Cell03, as wide as the first number; else the key.

    Raises ValueError for a range that runs backwards or is too long.
    """
    found = _IN_KEY.fullmatch(key)
    if found is None:
        return [key]
    before, first, last, after = found.groups()
    return [f"{before}{i:0{len(first)}d}{after}" for i in _numbers(first, last)]


def expand_name(name: str) -> list[str]:
    """`cell_voltage_v[1..3]` -> the three elements' names; else the name. Raises ValueError."""
    found = _IN_NAME.fullmatch(name)
    if found is None:
        return [name]
    return [element_name(found[1], i) for i in _numbers(found[2], found[3])]


def _numbers(first: str, last: str) -> range:
    numbers = range(int(first), int(last) + 1)
    if not 0 < len(numbers) <= MOST:
        raise ValueError(f"{first}..{last} is not a range of at most {MOST} numbers")
    return numbers


def missing_elements(names: set[str]) -> list[str]:
    """Elements below an array's last bound one that nothing is bound to."""
    bound: dict[str, set[int]] = {}
    for array, number in filter(None, map(split_element, names)):
        bound.setdefault(array, set()).add(number)
    return [
        element_name(array, number)
        for array in sorted(bound)
        for number in range(1, max(bound[array]))
        if number not in bound[array]
    ]

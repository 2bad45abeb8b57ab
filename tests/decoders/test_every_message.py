"""Both kernels over every message of many real files, bit pattern by bit pattern.

Against cantools; where it gives nothing (overlapping signals, signals past the end, a multiplexer
value nobody named) or selects by a scaled value, against big integers (`reference.py`).
"""

from __future__ import annotations

import importlib.util
import os
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from cantools.database.can import Message
from cantools.database.errors import DecodeError

from dbc.loader import load_file
from dbc.profile import DbcFile, Profile, ProfileError
from decoders.plan import Plan, compile_plan
from model.frames import EXTENDED_ID
from model.signals import Quality, SignalBatch
from tests.decoders.build import Frame, kernels, make_batch, same_batches
from tests.decoders.reference import Reference

FRAMES = 1000
#: One share of opendbc is one test, so that they run side by side.
SHARES = 4
#: Files whose own tests say that cantools refuses them too.
CANTOOLS_FILES = "ROADCALL_TEST_CANTOOLS_FILES"
SUFFIXES = {".dbc", ".kcd", ".sym", ".arxml"}
pytestmark = pytest.mark.slow


def opendbc_files() -> list[Path]:
    found = importlib.util.find_spec("opendbc")
    if found is None or not found.submodule_search_locations:
        return []
    return sorted(Path(found.submodule_search_locations[0]).rglob("*.dbc"))


def cantools_files() -> list[Path]:
    folder = os.environ.get(CANTOOLS_FILES)
    return sorted(p for p in Path(folder).rglob("*.*") if p.suffix in SUFFIXES) if folder else []


@pytest.mark.parametrize("share", range(SHARES))
def test_opendbc(share: int) -> None:
    files = opendbc_files()
    if not files:
        pytest.skip("opendbc is not installed (it is in the extra dev)")
    refused = [p.name for p in files[share::SHARES] if not compare_file(p)]
    assert not refused, "every file of opendbc loads"


def test_cantools_own_files() -> None:
    files = cantools_files()
    if not files:
        pytest.skip(f"{CANTOOLS_FILES} does not name tests/files of cantools' source archive")
    refused = {p.name for p in files if not compare_file(p)}
    assert refused <= {
        # cantools' tests expect an error for each of these
        "issue_138.sym", "jopp-5.0.sym", "system-bad-root-tag-4.2.arxml",
        "system-dangling-reference-4.2.arxml", "system-illegal-namespace-4.2.arxml",
        "system-illegal-root-4.2.arxml", "system-illegal-version-4.2.2.1.0.arxml",
        "system-missing-denominator-4.2.arxml", "system-missing-factor-4.2.arxml",
        "the_homer.kcd",  # two buses in one file, one identifier on both
    }  # fmt: skip


def compare_file(path: Path) -> bool:
    """False when the file is refused; asserts that everything else is exact."""
    try:
        messages = [m for m in load_file(path).messages if not m.is_container]
        plan = compile_plan(Profile("file", "combustion", (DbcFile(path, False),)))
    except ProfileError:
        return False
    frames = [(m, frames_of(m)) for m in messages]
    rows = sorted(chain.from_iterable(f for _, f in frames), key=lambda f: len(f[1]) > 8)
    batch = make_batch(rows)
    found = [kernel.decode(batch).signals(()) for kernel in kernels(plan)]
    for other in found[1:]:
        same_batches(found[0], other)
    runs = runs_of(plan, found[0])
    wanted: dict[str, list[float]] = {}
    for message, some in frames:
        for numbers in expected(message, [p for _, p in some]):
            for name, value in numbers.items():
                wanted.setdefault(f"{message.name}.{name}", []).append(value)
    j1939 = {m.name for m in messages if m.protocol == "j1939"}
    for name, numbers in wanted.items():
        compare(name, *runs.pop(name), np.array(numbers), patterns=name.split(".")[0] in j1939)
    assert not runs, "nothing but what was expected"
    return True


def frames_of(message: Message) -> list[Frame]:
    """Random payloads, a fifth of them cut short; multiplexers half the time at a named value."""
    draw = np.random.default_rng(zlib.crc32(message.name.encode()))
    can_id = message.frame_id | (int(EXTENDED_ID) if message.is_extended_frame else 0)
    width = min(message.length, 64)
    lengths = np.full(FRAMES, width)
    lengths[: FRAMES // 5] = draw.integers(0, width + 1, FRAMES // 5)
    blob = draw.bytes(FRAMES * 64)
    payloads = [blob[64 * i : 64 * i + n] for i, n in enumerate(lengths.tolist())]
    named = list(encoded_selectors(message))
    for k in range(FRAMES // 5, FRAMES // 2):
        for mask, value in named[k % len(named)] if named else ():
            whole = int.from_bytes(payloads[k], "little") & ~mask | value
            payloads[k] = whole.to_bytes(width, "little")
    return [(can_id, p) for p in sorted(payloads, key=lambda p: len(p) > 8)]


def encoded_selectors(message: Message) -> Iterator[list[tuple[int, int]]]:
    """For every multiplexed signal, (mask, bits) over the payload that select it."""
    places = Reference(message).by_name
    for signal in message.signals:
        steps, one = [], signal
        while one.multiplexer_signal in places and one.multiplexer_ids:
            place = places[one.multiplexer_signal]
            if place.need > min(message.length, 64):
                break
            bits = (1 << place.length) - 1
            shift = place.first
            value = min(one.multiplexer_ids) & bits
            if place.big:
                top = 8 * min(message.length, 64)
                shift = top - place.first - place.length
                steps.append((swapped(bits << shift, top // 8), swapped(value << shift, top // 8)))
            else:
                steps.append((bits << shift, value << shift))
            one = place.signal
        if steps:
            yield steps


def swapped(number: int, size: int) -> int:
    return int.from_bytes(number.to_bytes(size, "big"), "little")


def runs_of(plan: Plan, signals: SignalBatch) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Values and quality by name."""
    names = [plan.table.names[i] for i in signals.run_signal]
    assert len(names) == len(set(names)), "one identifier a message, so one run a signal"
    return {
        name: (signals.value[signals.run(i)], signals.quality[signals.run(i)])
        for i, name in enumerate(names)
    }


def compare(
    name: str, mine: np.ndarray, quality: np.ndarray, theirs: np.ndarray, *, patterns: bool
) -> None:
    assert len(mine) == len(theirs), name
    # Patterns of J1939 keep the raw number.
    pattern = np.isin(quality, (Quality.ABNORMAL, Quality.INVALID)) & np.isfinite(theirs)
    assert patterns or not pattern.any()
    same = (mine.copy().view(np.uint64) == theirs.view(np.uint64)) | pattern
    same |= np.isnan(mine) & np.isnan(theirs)
    assert same.all(), (name, mine[~same][:3], theirs[~same][:3])


def expected(message: Message, payloads: list[bytes]) -> Iterator[dict[str, float]]:
    reference = Reference(message)
    names = reference.by_name.keys()
    scaled_switch = any(
        s.is_multiplexer and (s.scale != 1 or s.offset != 0) for s in message.signals
    )
    for payload in payloads:
        decoded = None
        if not scaled_switch:
            try:
                decoded = message.decode(payload, decode_choices=False, allow_truncated=True)
            except DecodeError:
                decoded = None
        if decoded is None:
            yield reference.decode(payload)
        else:
            yield {k: float(v) for k, v in decoded.items() if k in names}  # type: ignore

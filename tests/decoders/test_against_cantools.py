"""The kernel against cantools, bit pattern by bit pattern, over random and our own DBC files."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from cantools.database.can import Message
from cantools.database.errors import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from dbc.loader import load_messages
from dbc.profile import BUILT_IN, load_profile
from decoders.plan import compile_plan
from model.frames import EXTENDED_ID
from model.signals import Quality
from tests.decoders.build import HEAD, Frame, bits_of, plan_of, run_decoder, values_of

SCALES = ("1", "2", "-1", "0.1", "-0.25", "0.0001220703125", "100", "1e-7", "3.6")
OFFSETS = ("0", "-40", "-273.15", "1", "1000000", "0.5")


#: gap before, length, sign, scale, offset
SHAPES = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.integers(1, 64),
        st.sampled_from("+-"),
        st.sampled_from(SCALES),
        st.sampled_from(OFFSETS),
    ),
    max_size=10,
)


@st.composite
def packed(draw: st.DrawFn, name: str, first: int, bits: int, mux: str = "") -> list[str]:
    """Signals of one byte order side by side, gaps between them, in `first` .. `bits`."""
    big = draw(st.booleans())
    lines: list[str] = []
    for gap, length, sign, scale, offset in draw(SHAPES):
        first += gap
        if first + length <= bits:
            start = 8 * (first // 8) + 7 - first % 8 if big else first
            lines.append(
                f" SG_ {name}{len(lines)} {mux}: {start}|{length}@{int(not big)}{sign}"
                f' ({scale},{offset}) [0|0] "" X'
            )
            first += length
    return lines


@st.composite
def messages(draw: st.DrawFn) -> str:
    """A plain message, one with a multiplexer, and a CAN FD one with floats at its end."""
    plain = draw(packed("P", 0, 64))
    pages = [line for k in range(2) for line in draw(packed(f"M{k}x", 8, 64, f"m{k} "))]
    fd = draw(packed("F", 0, 512 - 112))
    floats = [
        ' SG_ H : 400|16@1+ (1,0) [0|0] "" X',
        ' SG_ S : 416|32@1- (0.5,1) [0|0] "" X',
        ' SG_ D : 448|64@1+ (1,0) [0|0] "" X',
    ]
    lines = ["BO_ 256 Plain: 8 X", *plain, "", "BO_ 257 Mux: 8 X"]
    lines += [' SG_ Page M : 0|8@1+ (1,0) [0|0] "" X', *pages, "", "BO_ 258 Fd: 64 X", *fd, *floats]
    kinds = ["SIG_VALTYPE_ 258 H : 1;", "SIG_VALTYPE_ 258 S : 1;", "SIG_VALTYPE_ 258 D : 2;"]
    return "\n".join([*lines, "", *kinds, ""])


def cantools_of(text: str) -> dict[int, Message]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.dbc"
        path.write_text(HEAD + text)
        return {m.frame_id: m for m in load_messages(path)}


def expected(message: Message, payload: bytes) -> dict[str, float] | None:
    """cantools' numbers; None where it loses the whole frame."""
    try:
        decoded = message.decode(payload, decode_choices=False, allow_truncated=True)
    except DecodeError:
        return None
    assert isinstance(decoded, dict)
    return {f"{message.name}.{k}": float(v) for k, v in decoded.items()}  # type: ignore[arg-type]


def assert_like_cantools(text: str, frames: list[Frame]) -> None:
    by_id, plan = cantools_of(text), plan_of(text)
    found = values_of(run_decoder(plan, frames).signals)
    wanted: dict[str, list[float]] = {}
    for can_id, payload in frames:
        for name, value in (expected(by_id[can_id], payload) or {}).items():
            wanted.setdefault(name, []).append(value)
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert list(map(bits_of, found[name][-1])) == list(map(bits_of, values)), name


@given(messages(), st.data())
def test_random_messages(text: str, draws: st.DataObject) -> None:
    text = text.replace("SIG_VALTYPE_ 258 H : 1;", "")  # cantools reads half floats from 16 bits
    classic = st.tuples(st.just(256), st.binary(max_size=8))
    muxed = st.tuples(
        st.just(257),
        st.builds(
            lambda page, rest: bytes([page]) + rest, st.integers(0, 1), st.binary(max_size=7)
        ),
    )
    fd = st.tuples(st.just(258), st.binary(min_size=9, max_size=64))
    frames = draws.draw(st.lists(classic | muxed, min_size=1, max_size=20))
    frames = [f for f in frames if f[0] == 256 or has_page(text, f[1])]
    frames += draws.draw(st.lists(fd, max_size=8))
    assert_like_cantools(text, frames)


def has_page(text: str, payload: bytes) -> bool:
    """A page without signals is a bad multiplexer for cantools, which then gives nothing."""
    return f" m{payload[0]} " in text


@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("scaling", ["(1,0)", "(0.5,-3)"])
def test_floats(bits: int, order: str, scaling: str) -> None:
    start = f"0|{bits}@1" if order == "little" else f"7|{bits}@0"
    text = f'BO_ 256 A: 8 X\n SG_ F : {start}+ {scaling} [0|0] "" X\n\n'
    text += f"SIG_VALTYPE_ 256 F : {1 if bits < 64 else 2};\n"
    dtype = np.dtype(f"f{bits // 8}").newbyteorder("<" if order == "little" else ">")
    random = np.random.default_rng(7).bytes(400 * bits // 8)
    special = (
        np.array([0.0, -0.0, math.inf, -math.inf, math.nan, 1.5, 6e-8]).astype(dtype).tobytes()
    )
    blob = special + random
    frames = [
        (256, blob[i : i + bits // 8].ljust(8, b"\0")) for i in range(0, len(blob), bits // 8)
    ]
    assert_like_cantools(text, frames)


@pytest.mark.parametrize("path", sorted(BUILT_IN.glob("*.dbc")), ids=lambda p: p.stem)
def test_our_own_files(path: Path, tmp_path: Path) -> None:
    """Every message of every DBC we ship, as a user's profile without bindings."""
    (tmp_path / "copy.dbc").write_bytes(path.read_bytes())
    (tmp_path / "copy.toml").write_text('dbc = ["copy.dbc"]')
    plan = compile_plan(load_profile("copy", [tmp_path]))
    for message in load_messages(path):
        payloads = sample_payloads(message)
        wanted: dict[str, list[float]] = {}
        frames: list[Frame] = []
        flag = int(EXTENDED_ID) if message.is_extended_frame else 0
        for payload in payloads:
            decoded = expected(message, payload)
            if decoded is not None:
                frames.append((message.frame_id | flag, payload))
                for key, value in decoded.items():
                    wanted.setdefault(key, []).append(value)
        signals = run_decoder(plan, frames).signals
        assert wanted
        assert wanted.keys() == values_of(signals).keys()
        for run, name in enumerate(signals.table.names[i] for i in signals.run_signal):
            part = signals.run(run)
            rows = zip(signals.value[part], signals.quality[part], wanted[name], strict=True)
            for value, quality, number in rows:
                # J1939 error and not-available patterns keep the raw number instead.
                if quality in (Quality.GOOD, Quality.OUT_OF_RANGE):
                    assert bits_of(value) == bits_of(number), name


def sample_payloads(message: Message) -> list[bytes]:
    """300 random payloads, some short; OBD answers with services and PIDs that exist."""
    random = np.random.default_rng(message.frame_id)
    payloads = []
    for k in range(300):
        length = message.length if k < 200 else int(random.integers(0, message.length + 1))
        payload = random.bytes(length)
        if message.name == "ObdAnswer":
            payload = bytes([7, 65, k % 0xA7]) + payload[3:]
        payloads.append(payload)
    return sorted(payloads, key=lambda p: len(p) > 8)

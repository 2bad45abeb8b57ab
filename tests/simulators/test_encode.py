"""Our encoder against cantools' own, message by message."""

from __future__ import annotations

from collections.abc import Iterator

import cantools
import numpy as np
import pytest

from dbc.profile import Profile, load_profile
from dbc.units import conversion
from model.catalogue import find_signal
from simulators.encode import COUNTER, compile_message

PROFILES = ("demo_car", "demo_truck", "demo_ev")
ROWS = 64


def messages() -> Iterator[object]:
    for name in PROFILES:
        profile = load_profile(name)
        for path in profile.dbc:
            for message in cantools.database.load_file(str(path), strict=False).messages:
                if message.length <= (64 if message.is_fd else 8):
                    yield pytest.param(profile, message, id=f"{name}-{message.name}")


def to_catalogue(profile: Profile, message, signal) -> tuple[str, float, float]:
    """Our name for a DBC signal and the line from its DBC value to ours."""
    binding = profile.bindings.get(f"{message.name}.{signal.name}")
    if binding is None:
        return f"{message.name}.{signal.name}", 1.0, 0.0
    if binding.factor is not None:
        return binding.name, binding.factor, binding.offset
    return binding.name, *conversion(signal.unit or "", find_signal(binding.name).unit)


def raw_numbers(signal, rng) -> np.ndarray:
    if signal.conversion.is_float:
        return rng.uniform(0, 500, ROWS).astype(np.float32).astype(np.float64)
    low, high = (0, 2**signal.length) if not signal.is_signed else (
        -(2 ** (signal.length - 1)), 2 ** (signal.length - 1))  # fmt: skip
    return rng.integers(low, high, ROWS)


def pages(tree) -> list[dict[str, int | None]]:
    """Every selector combination by walking cantools' own tree."""
    found: list[dict[str, int | None]] = [{}]
    for node in tree:
        if isinstance(node, str):
            found = [f | {node: None} for f in found]
        else:
            ((name, branches),) = node.items()
            found = [
                f | {name: v} | inner
                for f in found
                for v, branch in branches.items()
                for inner in pages(branch)
            ]
    return found


@pytest.mark.parametrize(("profile", "message"), list(messages()))
def test_bytes_equal_cantools_encode(profile: Profile, message) -> None:
    rng = np.random.default_rng(5)
    raws, values, names = {}, {}, {}
    for signal in message.signals:
        source, a, b = to_catalogue(profile, message, signal)
        raw = raw_numbers(signal, rng)
        if signal.name == COUNTER:
            raw = np.arange(ROWS) % 2**signal.length
            source, values[source] = COUNTER, np.arange(ROWS, dtype=np.float64)
        elif not signal.is_multiplexer:
            scaled = raw * float(signal.conversion.scale) + float(signal.conversion.offset)
            values[source] = scaled * a + b
        raws[signal.name], names[signal.name] = raw, source
    plan = compile_message(message, profile, frozenset(values))
    payload = plan.encode(0, ROWS, values.__getitem__)
    all_pages = pages(message.signal_tree)
    for row in range(ROWS):
        page = all_pages[row % len(all_pages)]
        given = {n: raws[n][row].item() if v is None else v for n, v in page.items()}
        want = message.encode(given, scaling=False, padding=profile.j1939, strict=False)
        assert payload[row, : message.length].tobytes().hex() == want.hex(), (row, given)
        assert not payload[row, message.length :].any()


def test_values_past_the_ends_stick_there() -> None:
    profile = load_profile("demo_car")
    message = cantools.database.load_file(str(profile.dbc[0])).get_message_by_name("EngineThermal")
    plan = compile_message(message, profile, frozenset({"engine_coolant_temp_c"}))
    cold_hot = np.array([-300.0, 900.0])
    decoded = [
        message.decode(p.tobytes())["CoolantTemperature"]
        for p in plan.encode(0, 2, lambda _: cold_hot)
    ]
    assert decoded == [-40, 215]  # one byte, offset -40


def test_j1939_bits_without_a_value_say_not_available() -> None:
    profile = load_profile("demo_truck")
    path = next(p for p in profile.dbc if p.stem == "demo_truck")
    message = cantools.database.load_file(str(path)).get_message_by_name("TruckStatus")
    plan = compile_message(message, profile, frozenset({"ignition_on"}))
    payload = plan.encode(0, 1, lambda _: np.array([1.0]))
    assert payload.tobytes().hex() == "fdffffffffffffff"  # 01 in the lowest two bits


def test_pages_go_on_where_the_last_call_stopped() -> None:
    profile = load_profile("demo_car")
    message = cantools.database.load_file(str(profile.dbc[0])).get_message_by_name("TireStatus")
    names = frozenset({f"tire_pressure_{w}_kpa" for w in ("fl", "fr", "rl", "rr")})
    plan = compile_message(message, profile, names)
    whole = plan.encode(0, 11, lambda _: np.full(11, 240.0))
    split = [plan.encode(k, n, lambda _, n=n: np.full(n, 240.0)) for k, n in ((0, 3), (3, 8))]
    assert np.array_equal(whole, np.concatenate(split))
    assert [message.decode(p[:4].tobytes())["WheelIndex"] for p in whole[:5]] == [0, 1, 2, 3, 0]

"""Plans from DBC text, batches from frames, and two other decoders to compare with."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from dbc.profile import load_profile
from decoders.decode import Decoded, Decoder, Tails
from decoders.kernel_contract import Kernel
from decoders.kernel_numpy import NumpyKernel
from decoders.plan import Plan, compile_plan
from model.frames import FrameBatch, FrameFlag, frame_batch
from model.signals import SignalBatch

Frame = tuple[int, bytes]
#: name -> source -> values, in frame order
Values = dict[str, dict[int, list[float]]]
HEAD = 'VERSION ""\nNS_ :\nBS_:\nBU_:\n'


def plan_of(dbc: str, toml: str = "") -> Plan:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "made.dbc").write_text(HEAD + dbc)
        (Path(folder) / "made.toml").write_text('dbc = ["made.dbc"]\n' + toml)
        return compile_plan(load_profile("made", [Path(folder)]))


def make_batch(
    frames: Sequence[Frame], observed_ns: Iterable[int] | None = None, bus: int = 0
) -> FrameBatch:
    """Frames of (identifier with SocketCAN flag bits, payload), classic ones before FD ones."""
    classic = [p for _, p in frames if len(p) <= 8]
    fd = [p for _, p in frames if len(p) > 8]
    assert [len(p) > 8 for _, p in frames] == sorted(len(p) > 8 for _, p in frames)
    n = len(frames)
    times = np.arange(n) if observed_ns is None else np.array(list(observed_ns))
    return frame_batch(
        observed_ns=times.astype(np.int64),
        can_id=np.array([i for i, _ in frames], np.uint32),
        length=np.array([len(p) for _, p in frames], np.uint8),
        bus=np.full(n, bus, np.uint8),
        flags=np.where(np.arange(n) < len(classic), 0, FrameFlag.FD).astype(np.uint8),
        payload8=np.frombuffer(b"".join(p.ljust(8, b"\0") for p in classic), np.uint8),
        payload64=np.frombuffer(b"".join(p.ljust(64, b"\0") for p in fd), np.uint8),
    )


def run_decoder(plan: Plan, frames: Sequence[Frame]) -> Decoded:
    """What the decoder says; the kernels must agree on the frames before."""
    batch = make_batch(frames)
    found = [kernel.decode(batch).signals(()) for kernel in kernels(plan)]
    for other in found[1:]:
        same_batches(found[0], other)
    return Decoder(plan).decode(batch, Tails())


def kernels(plan: Plan) -> list[Kernel]:
    """The reference, and the compiled kernel where it was built."""
    try:
        from decoders.kernel_compiled import CompiledKernel
    except ImportError:
        return [NumpyKernel(plan)]
    return [NumpyKernel(plan), CompiledKernel(plan)]


def same_batches(one: SignalBatch, other: SignalBatch) -> None:
    """Equal bit by bit, dtypes included; all NaN alike."""
    for name in ("run_signal", "run_source", "run_start", "observed_ns", "quality", "frame_status"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype, name
        np.testing.assert_array_equal(a, b, err_msg=name)
    same = one.value.view(np.uint64) == other.value.view(np.uint64)
    same |= np.isnan(one.value) & np.isnan(other.value)
    assert same.all(), (one.value[~same][:5], other.value[~same][:5])
    assert one.exact.keys() == other.exact.keys()
    for run, numbers in one.exact.items():
        assert numbers.dtype == other.exact[run].dtype
        np.testing.assert_array_equal(numbers, other.exact[run])


def values_of(signals: SignalBatch, quality: int | None = None) -> Values:
    """Values by name and source; of one quality where asked."""
    found: Values = {}
    for i, (signal, source) in enumerate(zip(signals.run_signal, signals.run_source, strict=True)):
        value, of = signals.value[signals.run(i)], signals.quality[signals.run(i)]
        kept = value if quality is None else value[of == quality]
        per_source = found.setdefault(signals.table.names[signal], {})
        assert int(source) not in per_source, "one run per (name, source)"
        per_source[int(source)] = kept.tolist()
    return found


def bits_of(value: float) -> bytes:
    """Bit pattern of a double; all NaN alike."""
    return b"nan" if value != value else struct.pack("<d", value)


def raw_of(payload: bytes, start: int, length: int, *, big: bool, signed: bool) -> int:
    """Independent reference: bits one by one, as the DBC format numbers them."""
    if big:
        first = 8 * (start // 8) + 7 - start % 8
        positions = [8 * (p // 8) + 7 - p % 8 for p in range(first, first + length)][::-1]
    else:
        positions = list(range(start, start + length))
    raw = sum((payload[p // 8] >> p % 8 & 1) << k for k, p in enumerate(positions))
    return raw - (1 << length) if signed and raw >> (length - 1) else raw


def read_candump(path: Path) -> FrameBatch:
    """candump -l text, read by the plainest means."""
    frames, times, buses = [], [], []
    for line in path.read_text().splitlines():
        stamp, interface, frame = line.split()
        identifier, payload = frame.split("#")
        extended = 0x8000_0000 if len(identifier) == 8 else 0
        frames.append((int(identifier, 16) | extended, bytes.fromhex(payload)))
        seconds, micros = stamp.strip("()").split(".")
        times.append(int(seconds) * 10**9 + int(micros) * 1000)
        buses.append(int(interface.lstrip("vcan")))
    batch = make_batch(frames, times)
    batch.bus[:] = buses
    return batch

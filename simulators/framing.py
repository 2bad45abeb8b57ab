"""From a vehicle's 1 Hz columns to the frames of one upload."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.clock import NS
from model.frames import FrameBatch, FrameFlag, frame_batch
from simulators.dm1 import dm1_frames
from simulators.encode import COUNTER, MessagePlan
from simulators.motion import Floats
from simulators.scenarios import Columns
from simulators.vehicles import BLOCK_S, VehicleModel

GATEWAY_ID = "sim"
#: Frames start up to this much late, as on a real bus.
JITTER_NS = 400_000
#: Messages start this far apart (a prime number of us), so that they do not come in bursts.
PHASE_STEP_NS = 7_919_000

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Part:
    """Frames of one identifier."""

    observed_ns: Ints
    can_id: int
    length: int
    payload: NDArray[np.uint8]


class _Grid:
    """Columns of a vehicle, interpolated at given offsets (ns since the fleet's start, sorted)."""

    def __init__(self, model: VehicleModel, offset_ns: Ints) -> None:
        second, rest = np.divmod(offset_ns, NS)
        block = second // BLOCK_S
        self._pieces: list[tuple[Columns, Ints, Floats]] = []
        for number in np.unique(block):
            rows = slice(*np.searchsorted(block, [number, number + 1]))
            at = second[rows] - number * BLOCK_S
            self._pieces.append((model.columns(int(number)), at, rest[rows] / NS))

    def sample(self, name: str) -> Floats:
        """Values of one column."""
        parts = []
        for columns, at, fraction in self._pieces:
            column = columns[name]
            parts.append(column[at] + (column[at + 1] - column[at]) * fraction)
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros(0)


class Framing:
    """Collects the frames of one vehicle and slice, message by message."""

    def __init__(self, model: VehicleModel, start_ns: int) -> None:
        self._model, self._start_ns = model, start_ns
        self._classic: list[_Part] = []
        self._fd: list[_Part] = []

    def add(self, plan: MessagePlan, order: int, cycle_ns: int, start: int, stop: int) -> None:
        """Frames of one message with start <= nominal time < stop (ns since the fleet's start)."""
        phase = (order * PHASE_STEP_NS) % cycle_ns
        first, last = (max(-((phase - at) // cycle_ns), 0) for at in (start, stop))
        numbers = np.arange(first, last)
        jitter = (numbers * 2_654_435_761 + order * 40_503) % 65_536 * JITTER_NS // 65_536
        offset_ns = phase + numbers * cycle_ns + jitter
        grid = _Grid(self._model, offset_ns)
        counts = {COUNTER: numbers.astype(np.float64)}

        def sample(name: str) -> Floats:
            return counts[name] if name in counts else grid.sample(name)

        payload = plan.encode(first, len(numbers), sample)
        awake = grid.sample("awake") > 0.5
        observed_ns = offset_ns[awake] + self._start_ns
        part = _Part(observed_ns, plan.can_id, plan.length, payload[awake])
        (self._fd if plan.fd else self._classic).append(part)

    def add_dm1(self, start: int, stop: int) -> None:
        """One DM1 a second; several codes go out as a broadcast transport session."""
        scenario = self._model.scenario
        for second in range(-(-start // NS), -(-stop // NS)):
            offset = np.array([second * NS])
            if _Grid(self._model, offset).sample("awake")[0] <= 0.5:
                continue
            active = second >= scenario.onset_s
            lamp, codes = (scenario.lamp, scenario.codes) if active else ("", ())
            for delay_ns, can_id, payload in dm1_frames(lamp, codes):
                row = np.frombuffer(payload, np.uint8).reshape(1, 8)
                self._classic.append(_Part(offset + self._start_ns + delay_ns, can_id, 8, row))

    def batch(self, vin: str, batch_id: str) -> FrameBatch:
        """All collected frames, in time order within each section."""
        at8, id8, length8, payload8 = _join(self._classic, 8)
        at64, id64, length64, payload64 = _join(self._fd, 64)
        flags = np.zeros(len(at8) + len(at64), np.uint8)
        flags[len(at8) :] = FrameFlag.FD | FrameFlag.BRS
        return frame_batch(
            vin=vin,
            gateway_id=GATEWAY_ID,
            batch_id=batch_id,
            observed_ns=np.concatenate([at8, at64]),
            can_id=np.concatenate([id8, id64]),
            length=np.concatenate([length8, length64]),
            payload8=payload8,
            payload64=payload64,
            flags=flags,
        )


def _join(
    parts: list[_Part], width: int
) -> tuple[Ints, NDArray[np.uint32], NDArray[np.uint8], NDArray[np.uint8]]:
    """Columns of one section, sorted by time."""
    if not parts:
        none = np.zeros(0, np.uint8)
        return np.zeros(0, np.int64), none.astype(np.uint32), none, none.reshape(0, width)
    counts = [len(p.observed_ns) for p in parts]
    observed_ns = np.concatenate([p.observed_ns for p in parts])
    can_id = np.repeat(np.array([p.can_id for p in parts], np.uint32), counts)
    length = np.repeat(np.array([p.length for p in parts], np.uint8), counts)
    order = np.argsort(observed_ns, kind="stable")
    payload = np.concatenate([p.payload for p in parts])
    return observed_ns[order], can_id[order], length[order], payload[order]

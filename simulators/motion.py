"""How a simulated vehicle moves through a city: trips, speed, position, distance.

Everything is computed for a whole block of grid points at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Metres of one degree of latitude.
METRES_PER_DEGREE = 111_320.0
#: Vehicles stay in a square of this half width around their station.
ROAM_M = 9_000.0
#: The last seconds of a trip, in which the vehicle rolls to a stop.
STOPPING_S = 75.0


def relax(initial: float, target: Floats, tau_s: Floats | float, dt_s: float) -> Floats:
    """First-order lag: y[0] = initial, then y follows `target` with time constant `tau_s`.

    Closed form of y[i] = a[i] y[i-1] + (1 - a[i]) target[i]; safe while len * dt / tau < 600.
    """
    decay = np.exp(-dt_s / np.broadcast_to(np.asarray(tau_s, np.float64), target.shape))
    gain = np.cumprod(np.concatenate([[1.0], decay[1:]]))
    drive = np.concatenate([[initial], (1 - decay[1:]) * target[1:]])
    result: Floats = gain * np.cumsum(drive / gain)
    return result


@dataclass(frozen=True, slots=True)
class TripPlan:
    """Drives and stops in turn. At second 0 the vehicle is `phase_s` into a drive."""

    drive_s: float
    stop_s: float
    phase_s: float

    def seconds(self, t_s: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Seconds since the current drive (or, after it, the stop) began, and whether driving."""
        into: Floats = np.mod(t_s + self.phase_s, self.drive_s + self.stop_s)
        driving = into < self.drive_s
        return np.where(driving, into, into - self.drive_s), driving


def move(
    state: Mapping[str, float],
    rng: np.random.Generator,
    driving: NDArray[np.bool_],
    left_s: Floats,
    top_kmh: float,
) -> dict[str, Floats]:
    """Speed, distance and unfolded place at 1 Hz, going on from `state` (the point before)."""
    n = len(driving)
    leg = np.cumsum(_leg_starts(rng, n))
    wanted = np.where(rng.random(n) < 0.28, 0.0, rng.uniform(0.35, 1.0, n) * top_kmh)[leg]
    target = np.where(driving & (left_s > STOPPING_S), wanted, 0.0)
    speed = relax(state["speed_kmh"], target, 8.0, 1.0)
    speed = np.where(driving & (speed > 0.8), speed, 0.0)
    metres = np.concatenate([[0.0], (speed[1:] + speed[:-1]) / 7.2])
    heading = (rng.integers(0, 4, n) * (np.pi / 2) + rng.normal(0.3, 0.1, n))[leg]
    return {
        "speed_kmh": speed,
        "odometer_km": state["odometer_km"] + np.cumsum(metres) / 1000,
        "x_m": state["x_m"] + np.cumsum(metres * np.cos(heading)),
        "y_m": state["y_m"] + np.cumsum(metres * np.sin(heading)),
    }


def _leg_starts(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """1 where a new leg (another street, another light) begins; legs last 15-80 s."""
    starts = np.zeros(n, np.int64)
    at = np.cumsum(rng.integers(15, 80, n // 15 + 1))
    starts[at[at < n]] = 1
    return starts


def place(x_m: Floats, y_m: Floats, centre: tuple[float, float]) -> tuple[Floats, Floats]:
    """Latitude and longitude in degrees: the path is folded back at the edge of the square."""
    latitude, longitude = centre
    north = _fold(y_m) / METRES_PER_DEGREE
    east = _fold(x_m) / (METRES_PER_DEGREE * np.cos(np.radians(latitude)))
    return latitude + north, longitude + east


def _fold(metres: Floats) -> Floats:
    turned: Floats = np.mod(metres + ROAM_M, 4 * ROAM_M)
    return np.where(turned < 2 * ROAM_M, turned, 4 * ROAM_M - turned) - ROAM_M

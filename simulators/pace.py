"""Sending at the speed of the vehicles' own time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from model.clock import NS
from model.frames import FrameBatch
from simulators.fleet import Fleet
from simulators.gateway import Gateway, Totals


async def pace(
    batches: Iterable[FrameBatch],
    speed: float | None,
    skip: Callable[[FrameBatch], bool] = lambda _: False,
) -> AsyncIterator[FrameBatch]:
    """The batches, each when its last frame would have been seen at `speed` times real time.

    None is as fast as they are taken. What `skip` names is left out and takes no time. Batches are
    made in a thread: reading a log or encoding frames must not stop the sending.
    """
    loop = asyncio.get_running_loop()
    source = iter(batches)
    started, first_ns = loop.time(), None
    while (batch := await asyncio.to_thread(next, source, None)) is not None:
        if skip(batch):
            continue
        if speed is not None:
            if first_ns is None:
                started, first_ns = loop.time(), int(batch.observed_ns.min())
            due = started + due_s(batch, first_ns, speed)
            await asyncio.sleep(max(due - loop.time(), 0.0))
        yield batch


def due_s(batch: FrameBatch, first_ns: int, speed: float) -> float:
    """Seconds after the start at which a batch is complete, with time `speed` times as fast."""
    return (int(batch.observed_ns.max()) - first_ns) / NS / speed


async def drive(
    fleet: Fleet, gateway: Gateway, *, slices: int, first: int = 0, speed: float | None = None
) -> Totals:
    """Push the fleet's uploads `first` .. `first + slices - 1`; return when all are acknowledged.

    A repeat changes nothing: a fleet's batch ids depend on its seed, so one seed is one history.
    """
    numbers = range(first, first + slices)
    batches = (batch for number in numbers for batch in fleet.upload(number))
    return await gateway.send(pace(batches, speed, gateway.skip))

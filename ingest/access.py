"""Who may send for which vehicle: bearer tokens, looked up by their SHA-256."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from model.clock import NS, Clock
from model.errors import StoreUnavailableError

#: Tokens remembered at most, known and unknown together.
MAX_CACHED = 20_000
#: Tokens asked for at a time.
MAX_ASKING = 4


@dataclass(frozen=True, slots=True)
class GatewayAccess:
    """One gateway and the vehicles it is bound to."""

    gateway_id: str
    vins: frozenset[str]

    def allowed(self, vin: str) -> bool:
        """Whether the gateway may send for this vehicle."""
        return vin in self.vins


class GatewayDirectory(Protocol):
    """Where gateways are kept. May wait; called in a thread."""

    def find(self, token_sha256: bytes) -> GatewayAccess | None:
        """The gateway of a token, None when unknown or revoked. Raises StoreUnavailableError."""


class CachedDirectory:
    """Remembers answers for `ttl_s`, so that the database is not asked for each upload.

    While the database is away or slow, known gateways are believed up to `stale_s`: a log that is
    up must not wait for a database that is down. One question a token at a time, on threads of its
    own, so that a slow database holds up nothing else.
    """

    def __init__(
        self,
        directory: GatewayDirectory,
        clock: Clock,
        *,
        ttl_s: float,
        stale_s: float,
        timeout_s: float,
    ) -> None:
        self._directory, self._clock, self._timeout_s = directory, clock, timeout_s
        self._ttl_ns, self._stale_ns = round(ttl_s * NS), round(stale_s * NS)
        self._known: OrderedDict[bytes, tuple[int, GatewayAccess | None]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[GatewayAccess | None]] = {}
        self._threads = ThreadPoolExecutor(MAX_ASKING, "gateway-directory")

    async def find(self, token: str) -> GatewayAccess | None:
        """The gateway of a bearer token. Raises StoreUnavailableError when nobody can tell."""
        key = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        asked_ns, access = self._known.get(key, (-self._stale_ns, None))
        age_ns = self._clock.now_ns() - asked_ns
        if key in self._known and age_ns < self._ttl_ns:
            return access
        believed = access is not None and age_ns < self._stale_ns
        if key not in self._asking:
            task = self._asking[key] = asyncio.create_task(self._ask(key))
            task.add_done_callback(_look_at)
        elif believed:
            return access
        try:
            return await asyncio.wait_for(asyncio.shield(self._asking[key]), self._timeout_s)
        except (StoreUnavailableError, TimeoutError):
            if believed:
                return access
            raise StoreUnavailableError("the directory of gateways does not answer") from None

    async def _ask(self, key: bytes) -> GatewayAccess | None:
        loop = asyncio.get_running_loop()
        try:
            access = await loop.run_in_executor(self._threads, self._directory.find, key)
        finally:
            del self._asking[key]
        self._known[key] = (self._clock.now_ns(), access)
        self._known.move_to_end(key)
        if len(self._known) > MAX_CACHED:
            self._known.popitem(last=False)
        return access


def _look_at(task: asyncio.Task[GatewayAccess | None]) -> None:
    """A failure nobody waits for any more is not reported a second time."""
    if not task.cancelled():
        task.exception()

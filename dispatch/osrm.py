"""How long crews take on the road, by a routing engine that speaks OSRM's table service.

Source: Project OSRM, docs/http.md, table service v1 (GET, JSON).

    /table/v1/{profile}/{longitude},{latitude};…?sources=0;1&destinations=2&annotations=duration
    {"code": "Ok", "durations": [[421.7], [null]]}      seconds, a row a source; null = no way
    {"code": "TooBig", "message": "…"}                  with HTTP status 400

Whatever goes wrong, the answer is None and the caller estimates for itself. After a failure the
engine is left alone for a while, so that only one rescue waits for an engine that is down.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import httpx
import structlog
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dispatch.rescue_choice import Place
from model.clock import NS, Clock

#: Sources of one request; engines refuse larger tables (OSRM: --max-table-size 100).
AT_ONCE = 99
#: An answer for that many is below 20 kB; an engine adds its way points.
LONGEST_ANSWER = 1_000_000
#: How long an engine that failed is left alone (our own).
REST_S = 30.0

FAILED = Counter("roadcall_routing_failures", "Times a routing engine had no answer", ["reason"])
RESTED = Counter("roadcall_routing_rests", "Estimates made without the engine after a failure")
log = structlog.get_logger("roadcall.routing")

Duration = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Table(BaseModel):
    """The answer, as far as it is read: engines add way points."""

    model_config = ConfigDict(frozen=True)

    code: Literal["Ok"]
    durations: list[Annotated[list[Duration | None], Field(min_length=1, max_length=1)]]


class RoutingError(Exception):
    """No usable answer; the text is its short reason."""


class OsrmRouter:
    """Asks one engine. Safe to share between threads."""

    def __init__(
        self, url: str, clock: Clock, *, profile: str = "driving", timeout_s: float = 1.0
    ) -> None:
        self._base, self._clock = f"{url.rstrip('/')}/table/v1/{profile}", clock
        self._limit_ns = int(timeout_s * NS)
        self._client = httpx.Client(timeout=timeout_s, follow_redirects=False)
        self._rest_until_ns = 0

    def seconds(self, from_deg: Sequence[Place], to_deg: Place) -> Sequence[float] | None:
        """Seconds from each place, infinite where no road leads; None: the engine has no answer."""
        now_ns = self._clock.now_ns()
        if 0 < self._rest_until_ns - now_ns <= REST_S * NS:  # a clock set back keeps nobody waiting
            RESTED.inc()
            return None
        try:
            parts = [
                self._ask(from_deg[i : i + AT_ONCE], to_deg, now_ns)
                for i in range(0, len(from_deg), AT_ONCE)
            ]
        except RoutingError as error:
            self._rest_until_ns = now_ns + int(REST_S * NS)
            FAILED.labels(str(error)).inc()
            log.warning("routing.failed", reason=str(error), rest_s=REST_S)
            return None
        found = [seconds for part in parts for seconds in part]
        if found and not any(map(math.isfinite, found)):
            # Nobody can get there: more likely the engine's map ends here.
            FAILED.labels("no road").inc()
            log.warning("routing.failed", reason="no road")
            return None
        return found

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _ask(self, from_deg: Sequence[Place], to_deg: Place, begun_ns: int) -> list[float]:
        places = ";".join(f"{lon:.6f},{lat:.6f}" for lat, lon in (*from_deg, to_deg))
        query = {
            "sources": ";".join(map(str, range(len(from_deg)))),
            "destinations": str(len(from_deg)),
            "annotations": "duration",
        }
        try:
            with self._client.stream("GET", f"{self._base}/{places}", params=query) as answer:
                if answer.status_code != 200:
                    raise RoutingError(f"http {answer.status_code}")
                body = b"".join(self._bounded(answer.iter_bytes(), begun_ns))
            table = Table.model_validate_json(body)
        except httpx.TimeoutException:
            raise RoutingError("time-out") from None
        except httpx.HTTPError:
            raise RoutingError("unreachable") from None
        except ValidationError:
            raise RoutingError("not understood") from None
        if len(table.durations) != len(from_deg):
            raise RoutingError("not understood")
        return [math.inf if row[0] is None else row[0] for row in table.durations]

    def _bounded(self, chunks: Iterator[bytes], begun_ns: int) -> Iterator[bytes]:
        """No more than we read and no longer than we wait, however slowly it drips."""
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > LONGEST_ANSWER:
                raise RoutingError("too long")
            if self._clock.now_ns() - begun_ns > self._limit_ns:
                raise RoutingError("time-out")
            yield chunk

"""Who does something, and the one line it leaves in the audit trail."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from model.errors import RoadcallError
from store import audit
from store.database import Connection


class KeyReusedError(RoadcallError):
    """One Idempotency-Key was used for two different things."""

    def __init__(self) -> None:
        super().__init__("this idempotency key was used for another step")


@dataclass(frozen=True, slots=True)
class Act:
    """Who takes a step, when and why, and the Idempotency-Key it came with."""

    actor: str
    now: datetime
    reason: str = ""
    key: str | None = None


def seen(
    conn: Connection, noun: str, noun_id: str, step: str, act: Act, also: Collection[str] = ()
) -> bool:
    """Whether this very step (or one it may also be called) was taken under this key.

    Raises KeyReusedError for another one.
    """
    line = None if act.key is None else audit.by_key(conn, act.key)
    if line is None:
        return False
    if (line.noun, line.noun_id) != (noun, noun_id) or line.step not in {step, *also}:
        raise KeyReusedError
    return True


def append(
    conn: Connection, noun: str, noun_id: str, step: str, act: Act, **detail: object
) -> None:
    """Write the audit line. A rival may have used the key on something else just now."""
    written = audit.append(
        conn, noun, noun_id, step, actor=act.actor, reason=act.reason, key=act.key, detail=detail
    )
    if not written:
        raise KeyReusedError

"""What a transport needs from the pipeline. Synchronous: a transport calls it from one thread.

The ledger in the database is the truth about progress; a transport's own offsets only help it
find its place quickly.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from model.log import StoredRecord


class Processor(Protocol):
    """Makes the effects of log records durable, each exactly once."""

    def assigned(self, partitions: Collection[int]) -> dict[int, int]:
        """Take ownership; says the next position to read of each partition."""

    def revoked(self, partitions: Collection[int]) -> None:
        """Give up ownership and forget the partitions' memory."""

    def apply(self, records: Mapping[int, Sequence[StoredRecord]]) -> None:
        """Commit the effects of records, by partition, in one transaction over all of them.

        Positions are consecutive from the one `assigned` (or the last `apply`) gave; records below
        it are skipped. Raises StaleOwnerError (another owner moved on: call `assigned` again) and
        StoreUnavailableError (call again with the same records after a pause). Data that cannot
        be understood never raises: it goes to the dead-letter table in the same transaction.
        """

    def tick(self, now_ns: int) -> None:
        """Wall-clock duties: silence rules. Call about once a second; raises as `apply` does."""

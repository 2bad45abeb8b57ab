"""Who may push for which vehicle, as ingest asks it."""

from __future__ import annotations

from ingest.http import GatewayAccess
from store import masters
from store.database import Pool, transaction


class StoredGateways:
    """`ingest.http.GatewayDirectory` over the tables gateway and gateway_vehicle."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def find(self, token_sha256: bytes) -> GatewayAccess | None:
        """The gateway of a token, unless unknown or revoked."""
        with transaction(self._pool) as conn:
            found = masters.find_gateway(conn, token_sha256)
        return None if found is None else GatewayAccess(found.gateway_id, found.vins)

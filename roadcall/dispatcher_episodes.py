"""What a person said about a vehicle's codes reaches its episodes."""

from __future__ import annotations

from roadcall import episodes as following
from store import code_facts, episode_pages, episodes
from store.database import Pool, transaction

#: Vehicles one turn looks at.
VEHICLES = 50


class EpisodeTurn:
    """Folds the episodes of vehicles again whose codes a person says were cleared."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def __call__(self) -> int:
        with transaction(self._pool) as conn:
            due = episode_pages.due_signs(conn, VEHICLES)
        for vehicle_id, vin, at_ns in due:
            with transaction(self._pool) as conn:
                code_facts.lock(conn, [vehicle_id])
                stand = episodes.standing(conn, [vehicle_id], at_ns)
                faults = [(vehicle_id, s.key) for s in stand]
                following.fold(conn, faults, {vehicle_id: vin})
                episode_pages.signs_followed(conn, vehicle_id)
        return len(due)

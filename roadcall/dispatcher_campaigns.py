"""The dispatcher's turn over campaigns: choose their targets, and end them."""

from __future__ import annotations

from datetime import timedelta

from model.clock import Clock, utc
from store import campaigns
from store.database import Pool, transaction

#: Vehicles come to fit a selector while a campaign runs: it turns cold, a value is heard.
SELECT_EVERY = timedelta(hours=1)


class CampaignTurn:
    """Asks the targets of every running campaign; says how many campaigns it looked at."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool, self._clock = pool, clock

    def __call__(self) -> int:
        now = utc(self._clock.now_ns())
        with transaction(self._pool) as conn:
            ended = campaigns.close_ended(conn, now)
            waiting = [
                campaign
                for campaign in campaigns.running(conn, now)
                if campaign.selected_at is None or campaign.selected_at <= now - SELECT_EVERY
            ]
            for campaign in waiting:
                vins = campaigns.select(conn, campaign.selector, now)
                campaigns.ask(conn, campaign, vins, now)
        return ended + len(waiting)

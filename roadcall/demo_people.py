"""The demo's people: they confirm, accept, arrive and clear through the API, as stations would."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

#: Seconds a case rests in a state before somebody acts, and what they do then.
NEXT_STEP = {
    "requested": (3.0, "confirm"),
    "offered": (3.0, "accept"),
    "accepted": (15.0, "arrive"),
    "on_scene": (15.0, "clear"),
}
#: How much slower they are when somebody looks on, who may be quicker on the page.
CALM = 8.0
LOOK_EVERY_S = 0.5


async def act(address: str, patience: float = 1.0) -> None:
    """Until cancelled."""
    seen: dict[str, tuple[str, float]] = {}
    loop = asyncio.get_running_loop()
    async with httpx.AsyncClient(base_url=address, timeout=10) as client:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                cases = (await client.get("/v1/cases")).raise_for_status().json()["items"]
                for case in cases:
                    await _maybe_act(client, case, seen, loop.time() / patience)
            except httpx.HTTPError:
                continue


async def _maybe_act(
    client: httpx.AsyncClient,
    case: dict[str, Any],  # the API's JSON
    seen: dict[str, tuple[str, float]],
    now: float,
) -> None:
    case_id, state = case["case_id"], case["state"]
    if seen.get(case_id, ("", 0.0))[0] != state:
        seen[case_id] = (state, now)
        return
    patience, step = NEXT_STEP.get(state, (0.0, ""))
    if step and now - seen[case_id][1] >= patience:
        await client.post(
            f"/v1/cases/{case_id}/{step}",
            json={"actor": "demo"},
            headers={"Idempotency-Key": f"demo-{case_id}-{step}"},
        )

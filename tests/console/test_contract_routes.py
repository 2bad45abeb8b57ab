"""Each inbound contract has an endpoint that takes it, or an import."""

from __future__ import annotations

import httpx
import pytest

from console.contracts import CONTRACTS
from store.master_kinds import KINDS


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_contract_can_be_sent(client: httpx.Client, name: str) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    wanted = f"#/components/schemas/{CONTRACTS[name].__name__}"
    taken = [
        path
        for path, verbs in paths.items()
        for verb in verbs.values()
        if wanted in str(verb.get("requestBody", ""))
    ]
    imported = any(kind.model is CONTRACTS[name] for kind in KINDS.values())
    assert taken or imported

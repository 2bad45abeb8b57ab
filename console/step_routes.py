"""POST /v1/<nouns>/{id}/<step>: one route for each step people take on a state machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

from fastapi import APIRouter

from console.problems import documented

#: What may be wrong with a step.
PROBLEMS = ("not-found", "state", "key-reused")
Verb = TypeVar("Verb", bound=StrEnum)


def add_steps(
    router: APIRouter,
    path: str,
    noun: str,
    tag: str,
    meaning: Mapping[Verb, str],
    endpoint: Callable[[Verb], Callable[..., object]],
) -> None:
    """Add `path`/step for each step; `meaning` is said to readers of the API."""
    for step, summary in meaning.items():
        router.post(
            f"{path}/{step}",
            tags=[tag],
            summary=summary,
            operation_id=f"{step}_{noun}",
            responses=documented(*PROBLEMS),
        )(endpoint(step))

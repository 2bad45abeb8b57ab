"""Installations on fresh databases."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from store.database import open_pool
from tests.roadcall.rig import Rig


@pytest.fixture
def new_rig(new_dsn: Callable[[], str]) -> Iterator[Callable[[], Rig]]:
    """A function that makes installations; each has a database of its own."""
    with ExitStack() as stack:

        def make(profiles: tuple[Path, ...] = ()) -> Rig:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roadcall-test-")))
            pool = open_pool(new_dsn(), 4)
            stack.callback(pool.close)
            return Rig(pool, home, profiles)

        yield make

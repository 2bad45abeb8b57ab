"""Installations on fresh databases."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from store.database import open_pool
from tests.kafka.conftest import Broker, apache_kafka  # noqa: F401 - a fixture
from tests.roadcall.front_door import FrontDoor
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


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def door(
    request: pytest.FixtureRequest, new_dsn: Callable[[], str], tmp_path: Path
) -> Iterator[FrontDoor]:
    """An installation with a folder for profiles."""
    kafka = None
    if request.param == "kafka":
        broker = request.getfixturevalue("apache_kafka")
        assert isinstance(broker, Broker)
        kafka = broker.servers
    (tmp_path / "profiles").mkdir()
    yield FrontDoor(new_dsn(), tmp_path / "home", kafka, tmp_path / "profiles")

"""Connections to a fresh database, and five vehicles in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg.conninfo import make_conninfo

from model.vehicle import Vehicle
from store import masters
from store.database import Connection, connect
from tests.conftest import fresh_database

VINS = [f"LRDCALL00000000{i:02}" for i in range(1, 6)]


@pytest.fixture
def empty_dsn(server: str) -> Iterator[str]:
    """A fresh database without any table."""
    with fresh_database(server) as name:
        yield make_conninfo(server, dbname=name)


@pytest.fixture
def conn(dsn: str) -> Iterator[Connection]:
    """One connection to it."""
    with connect(dsn) as connection:
        yield connection


@pytest.fixture
def rival(dsn: str) -> Iterator[Connection]:
    """A second one, somebody else's."""
    with connect(dsn) as connection:
        yield connection


@pytest.fixture
def fleet(conn: Connection) -> dict[str, int]:
    """Five registered vehicles, committed: vehicle_id by VIN."""
    found = masters.upsert_vehicles(conn, [Vehicle(vin=v, profile="demo_car") for v in VINS])
    conn.commit()
    return found

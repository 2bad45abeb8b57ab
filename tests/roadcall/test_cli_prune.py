"""`roadcall prune`: old bulk goes, what alerts were raised from stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner

from roadcall import cli_prune
from simulators.fleet import Fleet
from tests.roadcall.rig import Rig

#: Long ago by any clock this test may run on.
START_NS = 1_600_000_000 * 10**9


def test_what_is_old_goes_when_somebody_says_so(
    new_rig: Callable[[], Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = new_rig()
    fleet = Fleet(4, 5, ("overheating", "truck_red_lamp"), START_NS)
    rig.register(*fleet.vehicles)
    rig.send([batch for n in range(45) for batch in fleet.upload(n)])
    alerts = rig.alerts()
    assert alerts
    app = typer.Typer()
    cli_prune.register(app)
    app.command("other")(lambda: None)
    monkeypatch.setenv("ROADCALL_DSN", rig.pool.conninfo)
    monkeypatch.setenv("ROADCALL_HOME", str(rig.home))
    asked = CliRunner().invoke(app, ["prune", "--older-than", "90"], input="n\n")
    assert asked.exit_code == 1
    assert rig.rows("select count(*) > 0 from frame_block") == [(True,)]
    done = CliRunner().invoke(app, ["prune", "--older-than", "90", "--yes"])
    assert done.exit_code == 0, done.output
    for table in ("frame_block", "signal_segment", "code_sighting", "ecu_heard"):
        kept = rig.rows(f"select count(*) from {table}")
        open_codes = rig.rows("select count(*) from fault_episode where kind = 'code'")
        assert kept == [(0,)] or (table.startswith(("code", "ecu")) and open_codes != [(0,)])
    assert rig.alerts() == alerts

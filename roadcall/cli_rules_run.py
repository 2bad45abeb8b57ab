"""`roadcall rules activate …`: rules into force or on trial while everything runs."""

from __future__ import annotations

import getpass
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from model.errors import BundleRefusedError
from roadcall import wiring
from roadcall.cli_run import open_settings
from roadcall.rule_desk import RuleDesk, openers
from roadcall.settings import Settings
from rules.bundle import pack_texts
from rules.pack_tests import Verdict
from store import rule_bundles, shadow_alerts
from store.database import Pool, transaction
from store.rule_bundles import State

Tests = Annotated[
    list[Path] | None,
    typer.Option("--tests", exists=True, dir_okay=False, help="Test files to pass first; repeat."),
]
Alone = Annotated[bool, typer.Option("--alone", help="Without the built-in packs.")]
Version = Annotated[str, typer.Option(help="Semantic version; counted on if not given.")]
Names = Annotated[
    list[str],
    typer.Argument(
        metavar="PACK...|BUNDLE",
        help="Pack files (one replaces a built-in of its name), or a stored bundle: its hash, "
        "shadow, or installed.",
    ),
]


def register(rules: typer.Typer) -> None:
    """Add the commands of this file."""
    for command in (activate, shadow, retire, bundles, shadow_said):
        rules.command("shadow-alerts" if command is shadow_said else None)(command)


def activate(
    names: Names, tests: Tests = None, alone: Alone = False, version: Version = ""
) -> None:
    """Check, test and activate rules; running workers follow with their next take.

    Built-in rules have to pass the tests they came with, but for those that --tests tests. Words
    may change freely. Where a condition changed, what is pending begins anew and an open alert
    ends under the rule that raised it. Alerts of removed rules are closed.

      roadcall rules activate my-rules.yaml --tests my-tests.yaml

      roadcall rules activate shadow        # what was on trial

      roadcall rules activate installed     # back to what came with the program
    """
    _bring(names, tests, "active", version, alone=alone)


def shadow(names: Names, tests: Tests = None, alone: Alone = False, version: Version = "") -> None:
    """Put rules on trial: looked at beside the active ones, told to nobody.

    roadcall rules shadow my-rules.yaml --tests my-tests.yaml
    """
    _bring(names, tests, "shadow", version, alone=alone)


def retire(name: Annotated[str, typer.Argument(metavar="BUNDLE")]) -> None:
    """End a trial, or take an activated bundle back (what is installed is active then)."""
    settings = open_settings()
    with wiring.database(settings, keep_running=True) as db:
        desk = RuleDesk(db.pool, settings)
        with transaction(db.pool) as conn:
            row = rule_bundles.find(conn, name)
        moved = desk.move("installed" if row.state == "active" else name, "retired")
    typer.echo(f"{row.hash} retired" + (f", {moved} active" if row.state == "active" else ""))


def bundles() -> None:
    """Every bundle this installation ran or tried."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        found = rule_bundles.page(conn)
    table = Table("bundle", "version", "state", "from", "by", "changed")
    for row in found:
        when = f"{row.changed_at:%Y-%m-%d %H:%M:%SZ}"
        table.add_row(row.hash, row.version, row.state, row.origin, row.actor, when)
    Console().print(table)


def shadow_said(
    name: Annotated[str, typer.Argument(metavar="BUNDLE")] = "shadow", limit: int = 50
) -> None:
    """What a bundle said while it was on trial, newest first."""
    with wiring.database(open_settings()) as db, transaction(db.pool) as conn:
        row = rule_bundles.find(conn, name)
        found = shadow_alerts.page(conn, row.hash, limit=limit)
    table = Table("vehicle", "rule", "severity", "state", "fired", "changed")
    for alert in found:
        fired, changed = (f"{t:%Y-%m-%d %H:%M:%SZ}" for t in (alert.fired_at, alert.changed_at))
        rule = f"{alert.rule_id}@{alert.rule_version} {alert.instance}".rstrip()
        severity = str(int(alert.severity))
        table.add_row(alert.vin, rule, severity, alert.state, fired, changed)
    Console().print(table)


def watched(found: Iterable[Verdict], total: int) -> Iterable[Verdict]:
    """Tests with a progress bar, if a person looks."""
    bar = Console(stderr=True)
    return track(found, "tests", total=total, console=bar, disable=not bar.is_terminal)


def _bring(
    names: list[str], tests: list[Path] | None, state: State, version: str, *, alone: bool
) -> None:
    settings = open_settings()
    paths = [Path(name) for name in names]
    stored = len(names) == 1 and not paths[0].exists()
    try:
        with wiring.database(settings, keep_running=True) as db:
            desk = RuleDesk(db.pool, settings)
            if stored:
                name = desk.move(names[0], state)
            else:
                name = _submit(desk, settings, paths, tests or [], state, version, alone=alone)
            _report(db.pool, name)
    except BundleRefusedError as error:
        for fault in error.faults:
            typer.echo(fault, err=True)
        typer.echo(f"refused, {len(error.faults)} faults; nothing has changed", err=True)
        raise typer.Exit(1) from None


def _submit(
    desk: RuleDesk,
    settings: Settings,
    packs: list[Path],
    tests: list[Path],
    state: State,
    version: str,
    *,
    alone: bool,
) -> str:
    proposal = desk.propose(
        pack_texts(packs),
        pack_texts(tests),
        alone=alone,
        open_log=openers(tests, settings),
        watch=watched,
    )
    typer.echo(f"{len(proposal.bundle.rules)} rules, {len(proposal.verdicts)} tests passed")
    return desk.put(proposal, state, getpass.getuser(), version)


def _report(pool: Pool, name: str) -> None:
    with transaction(pool) as conn:
        row = rule_bundles.find(conn, name)
    typer.echo(f"{row.hash} {row.version} {row.state} since {row.changed_at:%Y-%m-%d %H:%M:%SZ}")

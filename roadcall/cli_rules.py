"""`roadcall rules`: check, test, explain and compare rules; none of it needs a running system."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from model.errors import BundleRefusedError
from roadcall import cli_rules_run, wiring
from roadcall.arrival import arrival_table
from roadcall.cli_run import open_settings
from roadcall.evidence import told_of
from roadcall.rule_desk import RuleDesk, builtin_cases, cases_of, check, openers, verdicts
from roadcall.rule_library import Library, installed_packs
from roadcall.settings import Settings
from rules.applicability import reason
from rules.bundle import Bundle, pack_texts
from rules.pack import Rule
from rules.switch import difference, sense
from rules.words import alert_in_words, reason_in_words, rule_in_words
from store import alerts, masters, rule_bundles
from store.database import Pool, transaction

rules = typer.Typer(no_args_is_help=True, help="Fault rules: check, test, explain, change.")
Language = Annotated[Literal["zh", "en"], typer.Option(help="zh or en.")]
Packs = Annotated[
    list[Path] | None,
    typer.Argument(exists=True, help="Pack files, or folders of them; none: the installed ones."),
]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    cli_rules_run.register(rules)
    app.add_typer(rules, name="rules")


def files_of(paths: list[Path]) -> list[Path]:
    """Files, and the YAML files of folders in sorted order."""
    found = [sorted(path.glob("*.yaml")) if path.is_dir() else [path] for path in paths]
    return [path for group in found for path in group]


def texts_of(paths: list[Path] | None, settings: Settings) -> dict[str, str]:
    """Packs by file name."""
    return pack_texts(files_of(paths)) if paths else installed_packs(settings)


@rules.command("check")
def check_packs(packs: Packs = None) -> None:
    """Read packs as a worker would; every fault with file, line and rule. Exit code 1 if any.

    roadcall rules check my-rules.yaml
    """
    bundle = _checked(texts_of(packs, open_settings()))
    typer.echo(f"{len(bundle.rules)} rules, bundle {bundle.hash}")


@rules.command("test")
def run_tests(
    tests: Annotated[
        list[Path] | None,
        typer.Argument(exists=True, help="Test files, or folders; none: those of built-in packs."),
    ] = None,
    packs: Annotated[
        list[Path] | None,
        typer.Option("--packs", exists=True, help="Packs to test with the installed; repeat."),
    ] = None,
) -> None:
    """Run test files (the format: docs/rule-tools.md); exit code 1 if one fails.

    roadcall rules test my-tests.yaml --packs my-rules.yaml
    """
    settings = open_settings()
    given = pack_texts(files_of(packs)) if packs else {}
    bundle = _checked({**installed_packs(settings), **given})
    files = files_of(tests or [])
    failed = passed = 0
    try:
        if files:
            cases = cases_of(pack_texts(files))
        else:
            cases = builtin_cases([rule.id for rule in bundle.rules])
    except BundleRefusedError as error:
        _refuse(error.faults)
    found = verdicts(bundle, cases, openers(files, settings))
    for verdict in cli_rules_run.watched(found, len(cases)):
        failed, passed = failed + bool(verdict.faults), passed + (not verdict.faults)
        for fault in verdict.faults:
            typer.echo(f"{verdict.test.where}: {verdict.test.test}: {fault}")
    typer.echo(f"{passed} passed, {failed} failed")
    raise typer.Exit(1 if failed else 0)


@rules.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="ALERT|RULE", help="Id of an alert or a rule.")],
    packs: Annotated[
        list[Path] | None, typer.Option("--packs", exists=True, help="Where the rule is.")
    ] = None,
    language: Language = "zh",
    vin: Annotated[str, typer.Option(help="Say whether the rule applies to this vehicle.")] = "",
) -> None:
    """In words: what a rule asks, or why an alert was raised, and whether it applies to a vehicle.

    roadcall rules explain ice.coolant.overtemp --language en
    """
    settings = open_settings()
    try:
        alert_id = uuid.UUID(name)
    except ValueError:
        bundle = _checked(texts_of(packs, settings))
        rule = bundle.rule(name)
        if rule is None:
            _refuse([f"no rule {name}"])
        typer.echo("\n".join(rule_in_words(rule, language)))
        if vin:
            with wiring.database(settings) as db:
                typer.echo(applies_in_words(db.pool, settings, bundle, rule, vin, language))
        return
    with wiring.database(settings) as db:
        typer.echo("\n".join(why(db.pool, settings, alert_id, language)))


def why(
    pool: Pool, settings: Settings, alert_id: uuid.UUID, language: Literal["zh", "en"]
) -> list[str]:
    """Why an alert was raised, in words. Raises UnknownRowError, ProfileError."""
    library = Library(settings)
    with transaction(pool) as conn:
        row = alerts.find(conn, alert_id)
        kept = library.bundle(conn, row.bundle_hash) if row.bundle_hash else None
        bundle = kept or library.active(conn, rule_bundles.standing(conn))
    rule = bundle.rule(row.rule_id)
    lines = alert_in_words(told_of(row), rule, language)
    if rule is not None:
        lines.append(applies_in_words(pool, settings, bundle, rule, row.vin, language))
    return lines


def applies_in_words(
    pool: Pool,
    settings: Settings,
    bundle: Bundle,
    rule: Rule,
    vin: str,
    language: Literal["zh", "en"],
) -> str:
    """Whether a rule can say anything about a vehicle. Raises UnknownRowError, ProfileError."""
    with transaction(pool) as conn:
        vehicle = masters.vehicle(conn, vin)
    sent = arrival_table(wiring.decoder_source(settings)(vehicle).plan.table).names
    return reason_in_words(reason(bundle, rule, vehicle, sent), language)


@rules.command()
def diff(
    before: Annotated[
        str, typer.Argument(metavar="A", help="Pack file, folder, or stored bundle.")
    ],
    after: Annotated[str, typer.Argument(metavar="B", help="The same.")],
) -> None:
    """Rules added, removed, changed in text only, changed in a condition.

    A stored bundle is named by its hash, or as active, shadow or installed.

    roadcall rules diff active shadow
    """
    settings = open_settings()
    old, new = bundle_named(before, settings), bundle_named(after, settings)
    change = difference(old, new)
    for mark, listed in (("+", change.added), ("-", change.removed), ("~", change.reworded)):
        for rule_id in listed:
            typer.echo(f"{mark} {rule_id}" + (" (text only)" if mark == "~" else ""))
    for rule_id, changed in change.changed.items():
        was, now = old.rule(rule_id), new.rule(rule_id)
        assert was is not None and now is not None
        for field in changed:
            typer.echo(f"! {rule_id}: {field}: {sense(was)[field]} -> {sense(now)[field]}")
    counts = (change.added, change.removed, change.reworded, change.changed)
    typer.echo("{} added, {} removed, {} text only, {} changed".format(*map(len, counts)))


def bundle_named(name: str, settings: Settings) -> Bundle:
    """Of a file, a folder or the store."""
    path = Path(name)
    if path.exists():
        return _checked(pack_texts(files_of([path])))
    if name == "installed":
        return _checked(installed_packs(settings))
    with wiring.database(settings) as db:
        return RuleDesk(db.pool, settings).read(name)


def _checked(texts: dict[str, str]) -> Bundle:
    try:
        return check(texts)
    except BundleRefusedError as error:
        _refuse(error.faults)


def _refuse(faults: Sequence[str]) -> NoReturn:
    for fault in faults:
        typer.echo(fault, err=True)
    typer.echo(f"{len(faults)} faults", err=True)
    sys.exit(1)

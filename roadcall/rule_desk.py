"""Bringing rules into force: read, type-checked, tested, stored, then on trial or active.

Workers look with every take (roadcall/owner.py); nothing is restarted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dbc.profile import ProfileError
from model.errors import BundleRefusedError, DecodeError
from roadcall.rule_drives import log_opener
from roadcall.rule_library import installed_packs
from roadcall.settings import Settings
from rules.bundle import Bundle, BundleError, builtin_tests, pack_texts, read_bundle
from rules.pack_tests import OpenLog, PackTest, PackTestError, Verdict, read_tests, run
from rules.switch import Difference, difference
from store import rule_bundles
from store.database import Connection, Pool, UnknownRowError, transaction
from store.rule_bundles import State

#: What `activate` and `diff` call the packs this program was started with.
INSTALLED = "installed"
#: A test with the name of its file.
Case = tuple[str, PackTest]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A bundle that may come into force."""

    bundle: Bundle
    packs: Mapping[str, str]
    tests: Mapping[str, str]
    verdicts: tuple[Verdict, ...] = field(default=(), repr=False)


def check(packs: Mapping[str, str]) -> Bundle:
    """Packs by file name as a bundle. Raises BundleRefusedError naming every fault."""
    try:
        return read_bundle(packs)
    except BundleError as error:
        raise BundleRefusedError(error.faults) from error


def cases_of(tests: Mapping[str, str]) -> list[Case]:
    """The tests of files by name. Raises BundleRefusedError naming every fault."""
    cases, faults = [], []
    for name, text in tests.items():
        try:
            cases += [(name, case) for case in read_tests(name, text)]
        except PackTestError as error:
            faults += error.faults
    if faults:
        raise BundleRefusedError(faults)
    return cases


def builtin_cases(rules: Collection[str], own: Iterable[Case] = ()) -> list[Case]:
    """The built-in tests of these rules, but for rules that are tested by `own`."""
    judged = {rule_id for _, case in own for rule_id in case.rules}
    texts = {f"built-in {name}": text for name, text in pack_texts(builtin_tests()).items()}
    return [
        (name, case) for name, case in cases_of(texts) if set(case.rules) <= set(rules) - judged
    ]


def verdicts(
    bundle: Bundle, cases: Iterable[Case], open_log: Mapping[str, OpenLog]
) -> Iterable[Verdict]:
    """Tests run one by one."""
    for name, case in cases:
        try:
            yield run(bundle, case, open_log.get(name))
        except (DecodeError, ProfileError, OSError) as error:
            yield Verdict(case, (str(error),))


def unwatched(found: Iterable[Verdict], total: int) -> Iterable[Verdict]:
    """Nobody looks at the progress."""
    return found


def openers(files: Iterable[Path], settings: Settings) -> dict[str, OpenLog]:
    """How the logs of test files are opened, by file name."""
    return {path.name: log_opener(path.parent, settings.profile_path) for path in files}


class RuleDesk:
    """What operators do with rules; used by the command line and the API."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool, self._settings = pool, settings

    def propose(
        self,
        packs: Mapping[str, str],
        tests: Mapping[str, str],
        *,
        alone: bool = False,
        open_log: Mapping[str, OpenLog] | None = None,
        unchanged: bool = True,
        watch: Callable[[Iterable[Verdict], int], Iterable[Verdict]] = unwatched,
    ) -> Proposal:
        """Packs in the place of built-in ones of their names, or alone; all tests have passed.

        Built-in tests are run of every rule that has none in `tests`; with `unchanged` false not
        of rules that are as they were installed. Raises BundleRefusedError naming every fault.
        """
        installed = installed_packs(self._settings)
        whole = dict(packs) if alone else {**installed, **packs}
        bundle, own = check(whole), cases_of(tests)
        rules = {rule.id for rule in bundle.rules}
        if not unchanged:
            change = difference(check(installed), bundle)
            rules = {*change.added, *change.changed}
        cases: Sequence[Case] = [*own, *builtin_cases(rules, own)]
        found = tuple(watch(verdicts(bundle, cases, open_log or {}), len(cases)))
        faults = [f"{v.test.where}: {v.test.test}: {f}" for v in found for f in v.faults]
        if faults:
            raise BundleRefusedError(faults)
        return Proposal(bundle, whole, tests, found)

    def put(self, proposal: Proposal, state: State, actor: str, version: str = "") -> str:
        """Store a bundle and bring it into force, or on trial; its hash."""
        with transaction(self._pool) as conn:
            version = version or self._next_version(conn, proposal.bundle)
            name = proposal.bundle.hash
            content = (proposal.packs, proposal.tests)
            rule_bundles.put(conn, name, version, *content, actor, state=state)
        return name

    def submit(
        self,
        packs: Mapping[str, str],
        tests: Mapping[str, str],
        state: State,
        actor: str,
        version: str = "",
    ) -> str:
        """`propose` and `put` in one, soon enough for an answer: what came with the program and
        has not changed is not tested again. Raises BundleRefusedError."""
        return self.put(self.propose(packs, tests, unchanged=False), state, actor, version)

    def move(self, prefix: str, state: State) -> str:
        """A stored bundle into another state; its hash. `installed` is what we came with.

        Raises UnknownRowError, BundleRefusedError where this version cannot read it any more.
        """
        with transaction(self._pool) as conn:
            if prefix == INSTALLED:
                return self._back(conn)
            name = rule_bundles.find(conn, prefix).hash
            if state != "retired":
                check(rule_bundles.content(conn, name).packs)
            rule_bundles.set_state(conn, name, state)
        return name

    def _back(self, conn: Connection) -> str:
        """No operator's bundle is active any more."""
        now, packs = rule_bundles.standing(conn), installed_packs(self._settings)
        name = check(packs).hash
        if now.operated and now.active:
            rule_bundles.set_state(conn, now.active, "retired")
        rule_bundles.register(conn, name, self._next_version(conn, check(packs)), packs)
        return name

    def read(self, name: str) -> Bundle:
        """A stored bundle by hash, state, or `installed`. Raises UnknownRowError."""
        if name == INSTALLED:
            return check(installed_packs(self._settings))
        with transaction(self._pool) as conn:
            return check(rule_bundles.content(conn, rule_bundles.find(conn, name).hash).packs)

    def _next_version(self, conn: Connection, bundle: Bundle) -> str:
        """One more than the active one's: patch for words, minor for rules, major for removals."""
        try:
            active = rule_bundles.find(conn, "active")
            before = check(rule_bundles.content(conn, active.hash).packs)
        except (UnknownRowError, BundleRefusedError):
            return "1.0.0"
        return bumped(active.version, difference(before, bundle))


def bumped(version: str, change: Difference) -> str:
    """The next semantic version after a change."""
    numbers = [int(n) for n in re.findall(r"\d+", version)]
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    if change.removed:
        return f"{major + 1}.0.0"
    if change.added or change.changed:
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}" if change.reworded else version

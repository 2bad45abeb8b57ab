"""Bundles by their hash: what the program was started with, and what operators put into the store.

Compiled once a process; content never changes under a hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version

import structlog

from roadcall.settings import Settings
from rules.bundle import Bundle, BundleError, builtin_packs, pack_texts, read_bundle
from rules.cohorts import cohort_texts
from rules.switch import Bundles
from store import rule_bundles
from store.database import Connection, Pool, UnknownRowError, transaction
from store.rule_bundles import Standing

log = structlog.get_logger()


def installed_packs(settings: Settings) -> dict[str, str]:
    """The built-in rule packs and the operator's files, by file name."""
    return pack_texts([*builtin_packs(), *settings.rule_path])


class Library:
    """The bundles one process knows."""

    def __init__(self, settings: Settings) -> None:
        self._texts = installed_packs(settings)
        self.installed = read_bundle(self._texts)
        #: Titles of the rules that the dispatcher asks and no bundle says.
        self.scheduled = cohort_texts(*settings.cohort_path)
        self._known: dict[str, Bundle] = {self.installed.hash: self.installed}
        self._unreadable: set[str] = set()
        self._bundles: dict[str, Bundles] = {}

    def register(self, pool: Pool) -> None:
        """Let the store know what this process was started with."""
        with transaction(pool) as conn:
            rule_bundles.register(conn, self.installed.hash, version("roadcall"), self._texts)

    def bundle(self, conn: Connection, name: str) -> Bundle | None:
        """A bundle by hash; None if nobody kept it, or this version cannot read it."""
        if name not in self._known and name not in self._unreadable:
            try:
                self._known[name] = read_bundle(rule_bundles.content(conn, name).packs)
            except (UnknownRowError, BundleError) as error:
                self._unreadable.add(name)
                log.error("rules.unreadable", bundle=name, reason=str(error))
        return self._known.get(name)

    def active(self, conn: Connection, now: Standing) -> Bundle:
        """What an operator activated, else what the program was started with."""
        chosen = self.bundle(conn, now.active) if now.active and now.operated else None
        return chosen or self.installed

    def shadow(self, conn: Connection, now: Standing) -> Bundle | None:
        """What is on trial."""
        return self.bundle(conn, now.shadow) if now.shadow else None

    def bundles(self, active: Bundle) -> Bundles:
        """The active bundle with all that are known."""
        if active.hash not in self._bundles:
            self._bundles[active.hash] = Bundles(active, self._known)
        return self._bundles[active.hash]

    def mixed(self, active: Bundle, finishing: Mapping[str, str]) -> Bundle:
        """A bundle with earlier rules a vehicle still needs."""
        return self.bundles(active).of(finishing)


class RuleTexts(Mapping[str, Mapping[str, str]]):
    """Each rule's title in both languages, of the bundles in force; looked up again when a rule is
    not known, so a process that shows alerts need not be restarted either."""

    def __init__(self, pool: Pool, library: Library) -> None:
        self._pool, self._library = pool, library
        self._titles = {**library.scheduled, **_titles(library.installed)}

    def __getitem__(self, rule_id: str) -> Mapping[str, str]:
        if rule_id not in self._titles:
            self._look()
        return self._titles[rule_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._titles)

    def __len__(self) -> int:
        return len(self._titles)

    def _look(self) -> None:
        with transaction(self._pool) as conn:
            now = rule_bundles.standing(conn)
            active, shadow = self._library.active(conn, now), self._library.shadow(conn, now)
        for bundle in (shadow, active):
            self._titles |= _titles(bundle) if bundle else {}


def _titles(bundle: Bundle) -> dict[str, Mapping[str, str]]:
    return {rule.id: {"zh": rule.text.zh.title, "en": rule.text.en.title} for rule in bundle.rules}

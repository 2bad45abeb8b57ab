"""Random rules with functions over time, over random drives: all equals the reference."""

from __future__ import annotations

from random import Random
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from rules import evaluate
from rules.bundle import Bundle, bundle_of
from rules.pack import Rule
from tests.rules.build import T0, Report, Row, S, Sample
from tests.rules.kept import kept
from tests.rules.reference import alerts
from tests.rules.test_lane_properties import CAR, HALF, LATENESS, VALUES, drive, newest

TEXT = {"title": "x", "driver": "x", "technician": "x", "action": "x"}
SIGNALS = [name for name in sorted(VALUES) if name.endswith(("_rpm", "_c", "_v", "_kpa"))]
FLAGS = ["ignition_on", "red_stop_lamp"]
LENGTHS = ["5s", "7s", "20s", "60s", "1h"]
SPANS = ["7s", "20s", "60s", "trip", "trip"]


class Made:
    """Rules and drives from one seed: denser than what grows by drawing piece by piece."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.pick = self.random.choice

    def limit(self, name: str) -> float:
        return self.pick([v for v in VALUES[name] if v is not None])

    def plain(self) -> str:
        """A condition without windows."""
        kind, name = self.random.randrange(7), self.pick(SIGNALS)
        if kind == 0:
            return self.pick(FLAGS)
        if kind == 1:
            return self.pick(["any_dtc()", "spn(110, fmi=0)", "spn(110)"])
        compare = f"{name} {self.pick(['>=', '<', '>', '!='])} {self.limit(name)}"
        return f"({compare} and {self.plain()})" if kind == 2 else compare

    def windowed(self) -> str:
        """A condition with a window."""
        inner, sign, name = self.plain(), self.pick([">=", "<"]), self.pick(SIGNALS)
        few, share = self.random.randrange(1, 4), self.pick([0.0, 0.1, 0.33, 0.9])
        span, length = self.pick(SPANS), self.pick(LENGTHS)
        call = self.pick(["avg", "min", "max", "range", "rms", "p50", "p95"])
        wide = length if call.startswith("p") else span
        least = ", least=3" if wide != "trip" and self.pick([0, 1]) else ""
        return self.pick(
            [
                f"{call}({name}, {wide}{least}) {sign} {self.limit(name) + 0.125}",
                f"{call}({name}, {wide}) {sign} {self.limit(name) + 0.125}",
                f"delta({name}, {span}) {sign} {self.pick([-8.0, 0.25, 5.5])}",
                f"rate({name}, {length}) {sign} {self.pick([-1.03, 0.21])}",
                f"duration({inner}, {span}) {sign} {self.pick([0.0, 0.5, 3.0])}",
                f"share({inner}, {span}) {sign} {share}",
                f"onsets({inner}, {span}) {sign} {few}",
                f"samples({inner}, {few + 2}) {sign} {few}",
                f"cycles({inner}, {few}) {sign} {few - 1}",
                f"held({inner}, {self.pick(['2s', '9s', '30s'])})",
                f"since({inner}) {sign} {self.pick([0.5, 3.0, 20.0])}",
                self.pick(["over(trip)", "elapsed(trip) > 5s", "elapsed(trip) <= 30s"]),
            ]
        )

    def condition(self) -> str:
        joined = self.pick(["{0}", "{0}", "{0} and {1}", "{0} or {1}", "not ({0})"])
        return joined.format(self.windowed(), self.pick([self.plain, self.windowed])())

    def rule(self, place: int) -> Rule:
        level: dict[str, object] = {"severity": self.pick([1, 3]), "condition": self.condition()}
        level["for"] = self.pick(["0s", "0s", "2s", "9s"])
        if self.random.randrange(4) == 0:
            name, value = self.pick(
                [("for_count", "2 in 20s"), ("for_samples", "2 of 4"), ("for_cycles", "2 of 3")]
            )
            level |= {"condition": self.plain(), name: value}
        row: dict[str, object] = {
            "id": f"made.r{place}",
            "domain": ["X"],
            "version": 1,
            "kind": "fault",
            "levels": [level],
            "max_gap": self.pick(["3s", "6s", "50s"]),
            "stale_after": self.pick(["5s", "20s", "1d"]),
            "source": "made",
            "text": {"zh": TEXT, "en": TEXT},
        }
        if self.pick([0, 1]):
            row["clear"] = {"condition": f"not ({self.condition()})", "for": "3s"}
        if "red_stop_lamp" in str(row) and self.pick([0, 1]):
            # One alert an ECU: from when its lamp is first heard of, so no level goes without it.
            row["for_each"] = {"source": "red_stop_lamp"}
            level["condition"] = f"red_stop_lamp and ({level['condition']})"
        return Rule.model_validate(row)

    def bundle(self) -> Bundle:
        return bundle_of("made", [self.rule(i) for i in range(3)])

    def rows(self) -> list[Row]:
        """Half a minute to some minutes, signals at their own pace, with pauses and bad samples."""
        found: set[Row] = set()
        at = 0
        for _ in range(self.random.randrange(3, 9)):
            at += self.pick([0, 0, 0, 0, 3, 9, 40])
            length = self.random.randrange(4, 20)
            for name, values in VALUES.items():
                source = self.pick([0, 0, 3]) if name == "red_stop_lamp" else -1
                value, step = self.pick(values), self.pick([1, 2, 3, 7])
                if self.random.randrange(5):
                    moments = range(self.random.randrange(step), length, step)
                    found |= {Sample(T0 + (at + m) * HALF, name, value, source) for m in moments}
            for _ in range(self.random.randrange(3)):
                moment = T0 + (at + self.random.randrange(length)) * HALF
                codes = self.pick([(), ("0/0",), ("110/0",), ("110/3", "100/1"), ("P0217",)])
                found.add(Report(moment, self.pick([0, 7]), codes))
            at += length
        return sorted(found, key=lambda row: (row.at_ns, str(row)))

    def uploads(self, sent: list[Row]) -> list[list[Row]]:
        """Delayed by at most the lateness, some twice, cut anywhere."""
        copies = [row for row in sent for _ in range(self.pick([1, 1, 2]))]
        delays = [self.random.randrange(LATENESS // HALF + 1) * HALF for _ in copies]
        order = sorted(zip(copies, delays, strict=True), key=lambda p: p[0].at_ns + p[1])
        parts: list[list[Row]] = [[]]
        for row, _ in order:
            if self.random.randrange(25) == 0:
                parts.append([])
            parts[-1].append(row)
        return [part for part in parts if part]


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_random_rules_in_order_equal_the_reference(seed: int) -> None:
    made = Made(seed)
    sent, bundle, silent_s = made.rows(), made.bundle(), made.pick([8, 33, 700])
    said, _ = drive([sent], silent_s, (), bundle)
    assert kept(said) == alerts(sent, bundle.rules, CAR, newest(sent) + silent_s * S)


@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_order_repetition_cuts_and_restarts_change_nothing(seed: int) -> None:
    """Held against the run in order, which the test above holds against the reference."""
    made = Made(seed)
    sent, bundle, silent_s = made.rows(), made.bundle(), made.pick([8, 33, 700])
    uploads = made.uploads(sent)
    restarts = [made.pick([True, False, False]) for _ in uploads]
    with patch.object(evaluate, "FOLD_NS", 10 * S):
        said, rules = drive(uploads, silent_s, restarts, bundle)
        in_order, ordered = drive([sent], silent_s, (), bundle)
    assert kept(said) == kept(in_order)
    memory, same = rules.to_memory(), ordered.to_memory()
    for part in ("states", "windows"):
        assert in_any_order(memory.get(part)) == in_any_order(same.get(part))


def in_any_order(memory: object) -> object:
    """Lists as sets: rules and sources are met in another order."""
    if isinstance(memory, dict):
        return {key: in_any_order(value) for key, value in memory.items()}
    return sorted(map(str, memory)) if isinstance(memory, list) else memory

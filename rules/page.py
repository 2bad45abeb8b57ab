"""The reference page of the built-in rules: `python -m rules.page > docs/reference/rules.md`.

It holds what a person compares with a standard or a manual: conditions, thresholds, their sources.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable

from rules.bundle import builtin_packs, load_bundle
from rules.cohorts import CohortRule, load_cohorts
from rules.pack import AppliesTo, Level, Rule

_HEAD = """# Built-in rules

Written from `rules/packs/*.yaml` and `cohorts.toml` by `python -m rules.page`; do not edit.
Conditions: [the rule language](../rules.md). Ids E, N, D, M are those of the domain list.
Severity 0 info, 1 within 7 days, 2 within a day, 3 stop and rescue, 4 emergency.
"""
_COHORTS = """## Scheduled

Asked of the database every hour (`rules/packs/cohorts.toml`): silence, work orders, whole models.
"""
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def page() -> str:
    """The whole page, Markdown."""
    packs = [(path.stem, load_bundle(path).rules) for path in builtin_packs()]
    parts = [_HEAD, _index(rule for _, rules in packs for rule in rules)]
    for name, rules in packs:
        parts.append(f"## {name.replace('_', ' ').capitalize()}\n")
        parts += map(_section, rules)
    parts += [_COHORTS, *map(_cohort, load_cohorts())]
    return "\n".join(parts)


def spell_hold(ns: int) -> str:
    """`90s`, `5m`: ns in the largest unit that keeps it whole."""
    for seconds, letter in _UNITS:
        if ns and ns % (seconds * 10**9) == 0:
            return f"{ns // (seconds * 10**9)}{letter}"
    return f"{ns // 10**6}ms" if ns else "0s"


def _index(rules: Iterable[Rule]) -> str:
    by_id: dict[str, list[str]] = defaultdict(list)
    named = [(rule.id, rule.domain) for rule in rules]
    for name, domains in [*named, *((rule.id, rule.domain) for rule in load_cohorts())]:
        for domain in domains:
            by_id[domain].append(f"[{name}](#{name.replace('.', '')})")
    rows = [f"| {domain} | {', '.join(by_id[domain])} |" for domain in sorted(by_id)]
    return "\n".join(["| domain id | rules |", "| --- | --- |", *rows, ""])


def _section(rule: Rule) -> str:
    title = f"{rule.text.en.title} · {rule.text.zh.title}"
    lines = [f"### {rule.id}\n", f"{title} ({', '.join(rule.domain)}; version {rule.version})\n"]
    lines += ["| severity | condition | for |", "| --- | --- | --- |"]
    lines += [
        f"| {int(lv.severity)} | `{_line(lv.condition)}` | {_hold(lv)} |" for lv in rule.levels
    ]
    if rule.clear:
        clear, hold = _line(rule.clear.condition), spell_hold(rule.clear.hold_ns)
        lines.append(f"| clear | `{clear}` | {hold} |")
    lines.append("")
    lines += [f"- {name}: {value}" for name, value in _facts(rule) if value]
    return "\n".join([*lines, ""])


def _cohort(rule: CohortRule) -> str:
    found = "an incident of the model" if rule.scope == "model" else "an alert of the vehicle"
    listed = [
        ("A finding is", f"{found}, severity {int(rule.severity)}"),
        ("Alerts counted", ", ".join(rule.rules)),
        ("Thresholds", _fields(rule.params)),
        ("Advice", f"{rule.advice_en} · {rule.advice_zh}"),
        ("Source", rule.source),
    ]
    lines = [f"### {rule.id}\n", f"{rule.en} · {rule.zh} ({', '.join(rule.domain)})\n"]
    return "\n".join([*lines, *(f"- {k}: {v}" for k, v in listed if v), ""])


def _hold(level: Level) -> str:
    more = [
        f"{level.for_count.least} in {level.for_count.of}" if level.for_count else "",
        f"{level.for_samples.least} of {level.for_samples.of} samples" if level.for_samples else "",
        f"{level.for_cycles.least} of {level.for_cycles.of} trips" if level.for_cycles else "",
    ]
    return ", ".join([spell_hold(level.hold_ns), *filter(None, more)])


def _facts(rule: Rule) -> list[tuple[str, str]]:
    each = [f"{k}: {v if isinstance(v, str) else ', '.join(v)}" for k, v in rule.for_each.items()]
    rows = "; ".join(f"{_fields(row.matchers())}: {_fields(row.params)}" for row in rule.overrides)
    return [
        ("For", _applies(rule.applies_to)),
        ("One alert each", "; ".join(each)),
        ("Only while", f"`{_line(rule.when)}`" if rule.when else ""),
        ("Thresholds", _fields(rule.params)),
        ("Other thresholds", rows),
        ("Kept until", {"none": "", "ack": "somebody has seen it"}.get(rule.latch, "repaired")),
        ("Source", _line(rule.source)),
    ]


def _applies(wanted: AppliesTo) -> str:
    fields = wanted.model_dump(exclude_defaults=True)
    return "; ".join(f"{name} {', '.join(map(str, value))}" for name, value in fields.items())


def _fields(values: dict[str, object] | dict[str, float]) -> str:
    return ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())

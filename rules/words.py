"""Rules and alerts in words, Chinese and English: what is asked, with which values and holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from model.alerts import REMOVED, AlertState
from model.catalogue import catalogue
from model.clock import NS
from model.severity import Severity
from rules.applicability import Reason, Standing
from rules.pack import Level, Rule, Text

Language = Literal["zh", "en"]
_NAME = re.compile(r"[A-Za-z_]\w*")

#: Everything this module says; {} are filled in.
SAYS: dict[str, dict[Language, str]] = {
    "when": {"zh": "仅当 {}", "en": "only while {}"},
    "level": {"zh": "{} 级：{}{}", "en": "severity {}: {}{}"},
    "held": {"zh": "，持续 {}", "en": ", for {}"},
    "count": {"zh": "，{}", "en": ", {}"},
    "clear": {"zh": "解除：{}，持续 {}", "en": "over when {} for {}"},
    "clear_default": {
        "zh": "解除：以上条件均不成立，持续 1min",
        "en": "over when none of it holds for 1min",
    },
    "latch": {"zh": "锁定：{}", "en": "stays until a person releases it ({})"},
    "source": {"zh": "阈值来源：{}", "en": "thresholds from: {}"},
    "fired": {
        "zh": "{started} 条件开始成立，{fired} 报警（{hold} 后），{worst} 达到 {severity} 级。",
        "en": "True from {started}, alert at {fired} ({hold} later);"
        " severity {severity} at {worst}.",
    },
    "values": {"zh": "当时的值：{}", "en": "values then: {}"},
    "thresholds": {"zh": "所用阈值：{}", "en": "thresholds used: {}"},
    "state_firing": {"zh": "仍在报警。", "en": "It still stands."},
    "state_stale": {"zh": "{changed} 起没有数据。", "en": "Nothing known since {changed}."},
    "state_cleared": {"zh": "{changed} 解除。", "en": "Over at {changed}."},
    "state_retracted": {
        "zh": "已撤回：迟到的数据表明条件并未成立。",
        "en": "Taken back: late samples showed that it was not so.",
    },
    "removed": {
        "zh": "{changed} 关闭：规则已删除。",
        "en": "Closed at {changed}: its rule was removed.",
    },
    "applicable": {"zh": "适用于本车。", "en": "It applies to this vehicle."},
    "applicable_partly": {
        "zh": "适用于本车，但车型配置缺少信号：{}。",
        "en": "It applies to this vehicle, though its profile has no {}.",
    },
    "not_applicable": {
        "zh": "不适用于本车：规则不针对 {}。",
        "en": "It does not apply to this vehicle: it is not for {}.",
    },
    "signal_missing": {
        "zh": "对本车无法判断：车型配置缺少信号 {}。",
        "en": "It can say nothing about this vehicle: its profile has no {}.",
    },
    "unknown": {"zh": "当前规则包中没有规则 {}。", "en": "The rules at hand do not have {}."},
}


@dataclass(frozen=True, slots=True)
class Told:
    """An alert as it is stored."""

    rule_id: str
    rule_version: int
    instance: str
    severity: Severity
    state: AlertState
    reason: str
    started_at: datetime
    fired_at: datetime
    worst_at: datetime
    changed_at: datetime
    evidence: Mapping[str, float]
    thresholds: Mapping[str, float]


def rule_in_words(
    rule: Rule, language: Language, thresholds: Mapping[str, float] | None = None
) -> list[str]:
    """A rule, line by line; thresholds stand where their names were."""
    values = rule.params if thresholds is None else thresholds

    def say(key: str, *parts: object) -> str:
        return SAYS[key][language].format(*parts)

    lines = [f"{text_of(rule, language).title} ({rule.id}@{rule.version})"]
    if rule.when:
        lines.append(say("when", filled(rule.when, values)))
    for level in rule.levels:
        hold = say("held", span(level.hold_ns)) if level.hold_ns else ""
        hold += "".join(say("count", words) for words in _counted(level))
        lines.append(say("level", int(level.severity), filled(level.condition, values), hold))
    if rule.clear:
        lines.append(say("clear", filled(rule.clear.condition, values), span(rule.clear.hold_ns)))
    else:
        lines.append(say("clear_default"))
    if rule.latch != "none":
        lines.append(say("latch", rule.latch))
    return [*lines, say("source", " ".join(rule.source.split()))]


def alert_in_words(told: Told, rule: Rule | None, language: Language) -> list[str]:
    """Why an alert was raised: the rule with its thresholds, the values, the times."""
    says = {key: texts[language] for key, texts in SAYS.items()}
    if rule is None:
        lines = [says["unknown"].format(f"{told.rule_id}@{told.rule_version}")]
    else:
        lines = rule_in_words(rule, language, told.thresholds)[:-1]
        lines[0] += f" [{told.instance}]" if told.instance else ""
    hold_ns = round((told.fired_at - told.started_at).total_seconds() * NS)
    times = {
        "started": clock(told.started_at),
        "fired": clock(told.fired_at),
        "worst": clock(told.worst_at),
        "changed": clock(told.changed_at),
    }
    severity = int(told.severity)
    lines.append(says["fired"].format(**times, hold=span(hold_ns), severity=severity))
    if told.evidence:
        lines.append(says["values"].format(", ".join(_values(told.evidence, language))))
    if told.thresholds:
        listed = [f"{name} = {number(value)}" for name, value in told.thresholds.items()]
        lines.append(says["thresholds"].format(", ".join(listed)))
    ended = "removed" if told.reason == REMOVED else f"state_{told.state}"
    return [*lines, says[ended].format(**times)]


def reason_in_words(reason: Reason, language: Language) -> str:
    """Whether a rule applies to a vehicle, and why not."""
    key: str = reason.standing
    named = list(reason.missing)
    if reason.standing is Standing.NOT_APPLICABLE:
        named = [f"{field} {value}".rstrip() for field, value in reason.misfits.items()]
    elif reason.standing is Standing.APPLICABLE and named:
        key = "applicable_partly"
    return SAYS[key][language].format(", ".join(named))


def text_of(rule: Rule, language: Language) -> Text:
    """The rule's own texts."""
    return rule.text.zh if language == "zh" else rule.text.en


def filled(condition: str, values: Mapping[str, float]) -> str:
    """A condition with thresholds in the place of their names."""
    plain = " ".join(condition.split()).replace("params.", "")
    return _NAME.sub(lambda m: number(values[m[0]]) if m[0] in values else m[0], plain)


def span(time_ns: int) -> str:
    """A time as people write it: 90s, 5min, 2h."""
    seconds = time_ns / NS
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:.6g}s"


def clock(moment: datetime) -> str:
    """A moment, to the millisecond where it has any."""
    return moment.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")


def number(value: float) -> str:
    """Without needless zeros."""
    return f"{value:.10g}"


def _counted(level: Level) -> list[str]:
    counts = (
        ("for_count", level.for_count, "in"),
        ("for_samples", level.for_samples, "of"),
        ("for_cycles", level.for_cycles, "of"),
    )
    return [f"{name} {n.least} {word} {n.of}" for name, n, word in counts if n]


def _values(evidence: Mapping[str, float], language: Language) -> list[str]:
    said = []
    for name, value in evidence.items():
        signal = catalogue().get(name)
        title = (signal.zh if language == "zh" else signal.en) if signal else name
        unit = f" {signal.unit}" if signal and signal.unit else ""
        said.append(f"{title} ({name}) = {number(value)}{unit}")
    return said

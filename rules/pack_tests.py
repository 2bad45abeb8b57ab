"""Tests of rule packs, as data: a series in, states and alerts out.

    - test: heat fires after its hold         what is shown
      rules: [ice.coolant.overtemp]           the first one is looked at
      shows: [fires]                          of fires, below, clears, silence, late
      vehicle: {powertrain: hybrid}           anything of model.vehicle.Vehicle
      period: 1s                              time between samples, default 1s
      series: {name: "..."}                   name@3 = from source address 3
          5          one sample               5x3     four samples: one and three more
          5+2x3      5 7 9 11                 5-2x3   5 3 1 -1
          _  _x4     missing                  bad badx4 stale   a reading that is not good
      codes: [{at, codes, ecu, scope, until, late_by}]   a report a second from `at` to `until`
      late: [{at, late_by, name: value}]      one more sample that arrives late
      closed: [{at, kind}]                    a person has seen it (ack) or closed its work_order
      replay: drive.blf                       instead of series: a log beside the test file,
      profile: demo_car                       decoded by a profile, or
      dbc: [car.dbc]                          by DBC files whose names are the catalogue's
      expect: [{at, state, severity, instance}]   state at that moment, all samples known
      alerts: 1                               how many alerts there are in the end

`at` is event time from the first sample. Every test is also driven as the samples arrive, late ones
late, through the live and the history lane: the alerts in the end must be those of the ordered run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Protocol

import yaml
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from model.alerts import AlertTransition
from model.codes import CodeReport
from model.errors import RoadcallError
from model.signals import SignalBatch
from model.vehicle import Record, Vehicle
from rules.bundle import Bundle
from rules.facts import Closed, VehicleFacts
from rules.lane import LATENESS_NS, VehicleRules, advance, history_start, rebuild, tick
from rules.made_uploads import T0, Report, Row, Sample, upload
from rules.outcome import as_stored, content, outcome
from rules.pack import DurationNs
from rules.state import NO_RUN

VIN = "LRC00000000000001"
_STEP = re.compile(r"(_|bad|stale|-?[\d.]+)(?:([+-])([\d.]+))?(?:x(\d+))?")
_LATE: TypeAdapter[int] = TypeAdapter(DurationNs)
Upload = tuple[SignalBatch, Sequence[CodeReport]]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)]


class PackTestError(RoadcallError):
    """Test files that cannot be read. `faults` has one line a fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__(f"{len(faults)} faults in test files:\n" + "\n".join(faults))
        self.faults = faults


class Codes(Record):
    """An ECU's reports, one a second."""

    at: DurationNs
    codes: tuple[str, ...]
    ecu: int = 0
    scope: str = "active"
    until: DurationNs | None = None
    late_by: DurationNs = 0


class Deed(Record):
    """What a person did."""

    at: DurationNs
    kind: Literal["ack", "work_order"]


class Expected(Record):
    """The state of one alert at a moment."""

    at: DurationNs
    state: Literal["idle", "pending", "firing", "stale", "cleared"]
    severity: int | None = None
    instance: str = ""


class PackTest(Record):
    """One test as written; `where` is its file and line."""

    where: str
    test: str
    rules: tuple[str, ...] = Field(min_length=1)
    shows: tuple[Literal["fires", "below", "clears", "silence", "late"], ...] = ()
    vehicle: dict[str, Any] = Field(default_factory=dict)  # checked by Vehicle
    period: DurationNs = 10**9
    series: dict[str, str] = Field(default_factory=dict)
    codes: tuple[Codes, ...] = ()
    late: tuple[dict[str, Any], ...] = ()  # at, late_by, and signals by name
    closed: tuple[Deed, ...] = ()
    replay: str | None = None
    profile: str = ""
    dbc: Names = ()
    expect: tuple[Expected, ...] = ()
    alerts: int | None = None


class Log(Protocol):
    """A recorded drive, decoded on demand."""

    vehicle: Vehicle
    first_ns: int
    last_ns: int

    def until(self, end_ns: int) -> Upload:
        """All that was observed up to a moment, as one upload."""

    def uploads(self) -> Iterable[tuple[int, Upload]]:
        """(arrival, upload), as a vehicle would have sent it."""


OpenLog = Callable[[PackTest], Log]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one test; no fault = passed."""

    test: PackTest
    faults: tuple[str, ...]


def read_tests(name: str, text: str) -> list[PackTest]:
    """The tests of one file. Raises `PackTestError` naming every fault."""
    faults: list[str] = []
    found: list[PackTest] = []
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        rows = loader.construct_document(root) if root is not None else []
    except yaml.YAMLError as error:
        raise PackTestError([f"{name}: not YAML: {error}".replace("\n", " ")]) from error
    if not isinstance(rows, list):
        raise PackTestError([f"{name}: a test file is a list of tests"])
    nodes = root.value if isinstance(root, yaml.SequenceNode) else []
    for node, row in zip(nodes, rows, strict=True):
        where = f"{name}:{node.start_mark.line + 1}"
        try:
            found.append(_test(where, row))
        except ValidationError as error:
            told = [(".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
            faults += [f"{where}: {place}: {message}" for place, message in told]
        except ValueError as error:
            faults.append(f"{where}: {error}")
    if faults:
        raise PackTestError(faults)
    return found


def _test(where: str, row: object) -> PackTest:
    if not isinstance(row, dict):
        raise ValueError("a test is a table")
    case = PackTest.model_validate({**row, "where": where})
    if bool(case.series or case.codes or case.late) == bool(case.replay):
        raise ValueError("give series, codes or late, or else replay")
    if case.replay and bool(case.profile) == bool(case.dbc):
        raise ValueError("replay needs profile or dbc, and not both")
    if not case.replay:
        _Made(case)
    return case


def run(bundle: Bundle, test: PackTest, open_log: OpenLog | None = None) -> Verdict:
    """Drive one test in order and as it arrives. Raises what `open_log` raises."""
    unknown = [rule_id for rule_id in test.rules if bundle.rule(rule_id) is None]
    if unknown:
        return Verdict(test, tuple(f"no rule {rule_id}" for rule_id in unknown))
    if test.replay is None:
        drive: Log = _Made(test)
    elif open_log is not None:
        drive = open_log(test)
    else:
        return Verdict(test, ("a replay cannot be run here",))
    faults = [f for e in test.expect for f in _expected(bundle, test, drive, e)]
    return Verdict(test, (*faults, *_arrival(bundle, test, drive)))


def expand(notation: str) -> list[float | str | None]:
    """One entry a period; None = missing, "bad" = not good. Raises ValueError."""
    out: list[float | str | None] = []
    for word in notation.split():
        step = _STEP.fullmatch(word)
        if step is None:
            raise ValueError(f"{word!r} is no step of a series")
        start, sign, slope, times = step.groups()
        if start == "_":
            out += [None] * int(times or 1)
        elif start in ("bad", "stale"):
            out += ["bad"] * int(times or 1)
        else:
            by = float(slope or 0) * (-1 if sign == "-" else 1)
            out += [float(start) + by * i for i in range(int(times or 0) + 1)]
    return out


class _Made:
    """A test's own series as a drive."""

    def __init__(self, test: PackTest) -> None:
        profile = test.profile or "made"
        self.vehicle = Vehicle(**{"vin": VIN, "profile": profile, **test.vehicle})
        self._rows = sorted(_rows_of(test), key=lambda pair: pair[0])
        moments = [row.at_ns for _, row in self._rows]
        self.first_ns, self.last_ns = T0, max(moments, default=T0)

    def until(self, end_ns: int) -> Upload:
        """See `Log`."""
        rows = [row for _, row in self._rows if row.at_ns <= end_ns]
        return upload(sorted(rows, key=lambda row: row.at_ns))

    def uploads(self) -> Iterable[tuple[int, Upload]]:
        """See `Log`: one upload a moment."""
        for moment in sorted({at for at, _ in self._rows}):
            yield moment, upload([row for at, row in self._rows if at == moment])


def _rows_of(test: PackTest) -> Iterable[tuple[int, Row]]:
    """(arrival, row)."""
    for name, notation in test.series.items():
        for i, value in enumerate(expand(notation)):
            if value is not None:
                row = _sample(name, i * test.period, value)
                yield row.at_ns, row
    for line in test.codes:
        until = line.at if line.until is None else line.until
        for moment in range(line.at, until + 1, 10**9):
            report = Report(T0 + moment, line.ecu, line.codes, line.scope)
            yield report.at_ns + line.late_by, report
    for late in test.late:
        moment, late_by = (_LATE.validate_python(late.get(k)) for k in ("at", "late_by"))
        for name in sorted(late.keys() - {"at", "late_by"}):
            row = _sample(name, moment, late[name])
            yield row.at_ns + late_by, row


def _sample(name: str, at_ns: int, value: float | str) -> Sample:
    signal, _, source = name.partition("@")
    number = None if value == "bad" else float(value)
    return Sample(T0 + at_ns, signal, number, int(source) if source else -1)


def _memory(test: PackTest, drive: Log) -> VehicleRules:
    """Nothing but what people have done, or will have."""
    closed = [Closed(test.rules[0], drive.first_ns + deed.at, deed.kind) for deed in test.closed]
    return replace(VehicleRules.fresh(), facts=VehicleFacts(closed=tuple(closed)))


def _ordered(
    bundle: Bundle, test: PackTest, drive: Log, end_ns: int
) -> tuple[VehicleRules, list[AlertTransition]]:
    """Everything observed until then, in order, at once; the watermark driven to the end."""
    signals, reports = drive.until(end_ns)
    times = [*signals.observed_ns.tolist(), *(report.observed_ns for report in reports)]
    newest_ns = max(times, default=0)
    fresh, car = _memory(test, drive), drive.vehicle
    step = advance(bundle, fresh, car, signals, reports, newest_ns, lateness_ns=0)
    end = tick(bundle, step.rules, car, end_ns, lateness_ns=0)
    return end.rules, [*step.transitions, *end.transitions]


def _expected(bundle: Bundle, test: PackTest, drive: Log, expected: Expected) -> Iterable[str]:
    """What is not as expected at one moment."""
    rules, told = _ordered(bundle, test, drive, drive.first_ns + expected.at)
    key = (test.rules[0], expected.instance)
    mine = [t for t in outcome(told).values() if (t.rule_id, t.instance) == key]
    state, severity = rules.states.get(key), None
    if state is not None and state.told:
        got, severity = mine[-1].state.value, int(mine[-1].severity)
    elif state is not None and state.open is not None:
        got, severity = state.open.state.value, int(state.open.severity)
    elif state is not None and any(p != NO_RUN for p in state.pending):
        got = "pending"
    else:
        got = "cleared" if mine else "idle"
    at = f"at {expected.at / 10**9:g}s"
    if got != expected.state:
        yield f"{at}: {got}, expected {expected.state}"
    elif expected.severity is not None and severity != expected.severity:
        yield f"{at}: severity {severity}, expected {expected.severity}"


def _arriving(bundle: Bundle, test: PackTest, drive: Log) -> list[AlertTransition]:
    """As the samples arrive, history run again when asked for."""
    rules, car = _memory(test, drive), drive.vehicle
    said: list[AlertTransition] = []
    sent: list[Upload] = []
    for moment, part in drive.uploads():
        sent.append(part)
        step = advance(bundle, rules, car, *part, moment)
        rules, said = step.rules, [*said, *step.transitions]
        if step.late_from_ns is not None:
            stored = as_stored(outcome(said).values())
            start = history_start(bundle, car, step.late_from_ns, stored, rules.ledger)
            step = rebuild(bundle, rules, car, sent, start, stored)
            rules, said = step.rules, [*said, *step.transitions]
    end = tick(bundle, rules, car, rules.received_ns + LATENESS_NS)
    return [*said, *end.transitions]


def _arrival(bundle: Bundle, test: PackTest, drive: Log) -> Iterable[str]:
    """What arrival changes, and a wrong number of alerts."""
    arriving = _content(test, _arriving(bundle, test, drive))
    ordered = _content(test, _ordered(bundle, test, drive, drive.last_ns + LATENESS_NS)[1])
    if arriving != ordered:
        yield f"arrival changes the alerts: {len(arriving)} as it arrives, {len(ordered)} in order"
    if test.alerts is not None and len(arriving) != test.alerts:
        yield f"{len(arriving)} alerts in the end, expected {test.alerts}"


def _content(test: PackTest, told: Iterable[AlertTransition]) -> dict[object, object]:
    mine = outcome(told).values()
    return {t.alert_id: content(t) for t in mine if t.rule_id in test.rules}

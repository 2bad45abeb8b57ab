"""The evidence of an alert, put together on demand from its row and the stored frames.

The window begins as far before the alert's start as the rule looks back, at least 30 s, and ends
30 s after it was at its worst: replayed into an empty installation it raises the same alert. Where
the rule looks back further the window begins where its memory was kept, and needs that memory too.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import orjson
from pydantic import JsonValue

from decoders.decode import Decoded, Decoder, Tails
from ingest.log_writers import write_log
from model.catalogue import catalogue, split_element
from model.clock import ns_of, utc
from model.codes import CodeReport
from model.episodes import OWN_PARAMETERS
from model.errors import DecodeError
from model.evidence import Circumstance, EcuFreezeFrame, Evidence, LogSuffix, Sample, SignalTrace
from model.frames import FrameBatch, concatenate
from model.signals import Quality, SignalBatch
from model.vehicle import Vehicle
from roadcall.recall import MAX_ARCHIVE_FRAMES
from roadcall.rule_library import Library
from rules.applicability import signals_of
from rules.bundle import Bundle
from rules.episode_marks import cycle_number
from rules.switch import instance_of
from rules.words import Told, alert_in_words
from store import alerts, episodes, evidence, masters, rule_bundles
from store.alerts import StoredAlert
from store.database import Connection, Pool, transaction

#: Samples of one signal that are listed, those nearest the moment (our own).
MAX_SAMPLES = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The frames of an alert, in order of time."""

    alert: StoredAlert
    vehicle: Vehicle
    start_ns: int
    end_ns: int
    frames: FrameBatch | None
    context: dict[str, dict[str, object]]
    bundle: Bundle
    cycle: int | None
    memory: dict[str, JsonValue] | None


class EvidenceReader:
    """Answers for the API and the command line."""

    def __init__(
        self, pool: Pool, library: Library, decoder_of: Callable[[Vehicle], Decoder]
    ) -> None:
        self._pool, self._library, self._decoder_of = pool, library, decoder_of

    def of(self, alert_id: uuid.UUID) -> Evidence:
        """Everything about an alert. Raises UnknownRowError, LimitExceededError."""
        window = self._window(alert_id)
        found = self._decoded(window)
        row, moment_ns = window.alert, ns_of(window.alert.worst_at)
        instance = instance_of(window.bundle, window.vehicle, row.rule_id, row.instance)
        rule = window.bundle.rule(row.rule_id)
        wanted = signals_of(instance) if instance else set()
        return Evidence(
            alert_id=row.alert_id,
            vin=row.vin,
            rule=f"{row.rule_id}@{row.rule_version}",
            instance=row.instance,
            bundle_hash=row.bundle_hash,
            profile=window.vehicle.profile,
            profile_hash=row.profile_hash,
            started_at=row.started_at,
            fired_at=row.fired_at,
            worst_at=row.worst_at,
            window_start=utc(window.start_ns),
            window_end=utc(window.end_ns),
            frames=0 if window.frames is None else len(window.frames),
            thresholds=row.thresholds,
            decided=row.evidence,
            conditions=rule.conditions() if rule else [],
            explained={
                "zh": alert_in_words(told_of(row), rule, "zh"),
                "en": alert_in_words(told_of(row), rule, "en"),
            },
            context=_context(window.context, found.signals if found else None, moment_ns),
            ignition_cycle=window.cycle,
            memory=window.memory,
            freeze_frames=list(_freeze_frames(found.reports)) if found else [],
            signals=traces(found.signals, wanted, moment_ns) if found else [],
        )

    def write(self, alert_id: uuid.UUID, path: Path) -> int:
        """The window as a log in the format of the suffix; frames written.

        What the rule remembered, where that is needed, goes to `memory_path`.
        Raises UnknownRowError, LimitExceededError, DecodeError.
        """
        window = self._window(alert_id)
        if window.frames is None:
            raise DecodeError("the frames of this alert are not kept any more")
        memory_path(path).unlink(missing_ok=True)
        if window.memory is not None:
            memory_path(path).write_bytes(orjson.dumps(window.memory))
        return write_log(path, [window.frames])

    def log_file(self, alert_id: uuid.UUID, suffix: LogSuffix) -> bytes:
        """The same, as bytes."""
        with tempfile.TemporaryDirectory(prefix="roadcall-") as folder:
            path = Path(folder) / f"evidence.{suffix}"
            self.write(alert_id, path)
            return path.read_bytes()

    def _window(self, alert_id: uuid.UUID) -> Window:
        with transaction(self._pool) as conn:
            row = alerts.find(conn, alert_id)
            vehicle = masters.vehicle(conn, row.vin)
            vehicle_id, starts, ends = evidence.window(conn, alert_id)
            kept = evidence.memory(conn, alert_id)
            start_ns, end_ns = kept[0] if kept else ns_of(starts), ns_of(ends)
            batches = evidence.frames(conn, vehicle_id, start_ns, end_ns, MAX_ARCHIVE_FRAMES)
            context = evidence.context(conn, alert_id)
            moment_ns = ns_of(row.worst_at)
            heard = episodes.heard_until(conn, vehicle_id, moment_ns)
            bundle = self._bundle(conn, row.bundle_hash)
        frames = concatenate(batches) if batches else None
        cycle = cycle_number(heard, moment_ns, OWN_PARAMETERS)
        memory = kept[1] if kept else None
        return Window(row, vehicle, start_ns, end_ns, frames, context, bundle, cycle, memory)

    def _bundle(self, conn: Connection, name: str) -> Bundle:
        """The rules that raised it; today's where nobody kept them."""
        kept = self._library.bundle(conn, name) if name else None
        return kept or self._library.active(conn, rule_bundles.standing(conn))

    def _decoded(self, window: Window) -> Decoded | None:
        if window.frames is None:
            return None
        order = np.argsort(window.frames.observed_ns, kind="stable")
        return self._decoder_of(window.vehicle).decode(window.frames.take(order), Tails())


def memory_path(log: Path) -> Path:
    """Where the memory that belongs to a log is written."""
    return log.with_name(f"{log.name}.memory.json")


def told_of(row: StoredAlert) -> Told:
    """A stored alert as `rules.words` takes it."""
    return Told(**{field.name: getattr(row, field.name) for field in fields(Told)})


def traces(signals: SignalBatch, wanted: set[str], moment_ns: int) -> list[SignalTrace]:
    """Samples of the wanted signals, those nearest the moment."""
    found = []
    for run in range(len(signals.run_signal)):
        name = signals.table.names[signals.run_signal[run]]
        array = (split_element(name) or (name, 0))[0]
        if array not in wanted:
            continue
        rows = slice(int(signals.run_start[run]), int(signals.run_start[run + 1]))
        times = signals.observed_ns[rows]
        near = np.sort(np.argsort(np.abs(times - moment_ns), kind="stable")[:MAX_SAMPLES])
        listed = near[np.argsort(times[near], kind="stable")]
        found.append(
            SignalTrace(
                name=name,
                unit=catalogue()[array].unit,
                source=int(signals.run_source[run]),
                samples=[_sample(signals, rows.start + int(row)) for row in listed],
                left_out=len(times) - len(near),
            )
        )
    return sorted(found, key=lambda trace: (trace.name, trace.source))


def _sample(signals: SignalBatch, row: int) -> Sample:
    good = signals.quality[row] == Quality.GOOD
    value = float(signals.value[row]) if good else None
    return Sample(at=utc(int(signals.observed_ns[row])), value=value)


def _context(
    stored: dict[str, dict[str, object]], signals: SignalBatch | None, moment_ns: int
) -> dict[str, Circumstance | None]:
    """The newest values at the moment: of the window, else of the stored signals."""
    found = {n: Circumstance.model_validate(row) for n, row in stored.items()}
    if signals is not None:
        for trace in traces(signals, set(evidence.CONTEXT), moment_ns):
            before = [s for s in trace.samples if s.value is not None and s.at <= utc(moment_ns)]
            if before and before[-1].value is not None:
                found[trace.name] = Circumstance(value=before[-1].value, at=before[-1].at)
    return {name: found.get(name) for name in evidence.CONTEXT}


def _freeze_frames(reports: Sequence[CodeReport]) -> Iterable[EcuFreezeFrame]:
    for report in reports:
        for code in report.codes:
            for frame in code.freeze_frames:
                yield EcuFreezeFrame(
                    at=utc(report.observed_ns),
                    ecu=code.ecu,
                    code=code.code,
                    number=frame.number,
                    parts={
                        f"{identifier:04X}": content.hex() for identifier, content in frame.parts
                    },
                )

"""`roadcall codes scan`: the trouble codes in log files, ECU by ECU."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any  # JSON

import numpy as np
import orjson
import typer

from decoders.j1939 import looks_like_j1939
from decoders.listening import Listening, Tails
from ingest.columns import Faults
from ingest.log_files import read_log
from model.clock import NS
from model.code_book import explain
from model.codes import FactKind
from roadcall.code_findings import Findings, FoundCode, FoundEcu
from roadcall.log_faults import existing, reading

#: 29-bit source addresses have one byte, 11-bit identifiers more.
_SOURCE_ADDRESS_MAX = 0xFF


def scan(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="LOG...", callback=existing, help="Log files; - is standard input."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
    j1939: Annotated[
        bool | None, typer.Option(help="Read J1939 messages; found out when not said.")
    ] = None,
    strict: Annotated[bool, typer.Option(help="Stop at the first broken line.")] = False,
) -> None:
    """Print the trouble codes that log files hold, by ECU. No DBC file is needed.

    Exit codes: 0 read, 1 not read (or a broken line with --strict), 2 wrong use.

    Examples: roadcall codes drive.blf, roadcall codes scan.log.gz drive.mf4 --json
    """
    findings = Findings()
    for file in files:
        with reading(file, strict=strict) as faults:
            _scan_file(file, findings, faults, j1939)
    if as_json:
        typer.echo(orjson.dumps([_record(ecu) for ecu in findings.sorted()]))
    else:
        _print(findings)


def _scan_file(file: Path, findings: Findings, faults: Faults, j1939: bool | None) -> None:
    tails, truck = Tails(), bool(j1939)
    for batch in read_log(file, faults=faults):
        if j1939 is None and not truck:
            truck = looks_like_j1939(batch.can_id)
        status = np.zeros(len(batch), np.uint8)
        heard, tails = Listening(j1939=truck).listen(batch, tails, status)
        findings.add(heard.reports, heard.facts)


def _print(findings: Findings) -> None:
    if not findings.ecus:
        typer.echo("no diagnosis in these files")
    for ecu in findings.sorted():
        typer.echo(f"bus {ecu.bus} ecu {_name(ecu.ecu)}")
        for line in (*_codes(ecu), *_facts(ecu)):
            typer.echo(f"  {line}")


def _codes(ecu: FoundEcu) -> Iterator[str]:
    """Each protocol with the lists it gave, and below it the codes in them."""
    for protocol, scopes in sorted(ecu.asked.items()):
        there = [found for found in ecu.codes.values() if found.dtc.protocol == protocol]
        yield f"{protocol}: {', '.join(sorted(scopes))}" + ("" if there else " - no codes")
        for found in there:
            dtc = found.dtc
            code = dtc.code if dtc.failure_type is None else f"{dtc.code}-{dtc.failure_type:02X}"
            parts = [f"  {code:9}", ", ".join(sorted(found.scopes))]
            parts += [] if dtc.status is None else [f"status {dtc.status:02X}"]
            parts += [] if dtc.occurrence_count is None else [f"count {dtc.occurrence_count}"]
            parts += [f"{_clock(found.first_ns)} .. {_clock(found.last_ns)}", explain(dtc).en]
            yield "  ".join(parts)
            for frame in found.freeze_frames.values():
                values = " ".join(f"{i:X}={content.hex()}" for i, content in frame.parts)
                yield f"    frame {frame.number}: {values or 'stored'}"


def _facts(ecu: FoundEcu) -> Iterator[str]:
    if ecu.lamps:
        lit = [f"{lamp} {state}" for lamp, state in _lamps(ecu).items() if state != "off"]
        yield f"lamps: {', '.join(lit) or 'all off'}"
    for fact in ecu.facts.values():
        yield f"{fact.kind.value.replace('_', ' ')}: {fact.text or fact.content.hex()}"
    for (protocol, text), clear in ecu.clears.items():
        times = f"{_clock(clear.first_ns)} .. {_clock(clear.last_ns)}"
        yield f"cleared {protocol}: {text} ({clear.count} x)  {times}"
    for (_, service, text), count in ecu.refusals.items():
        yield f"refused service {service:02X}: {text} ({count} x)"


def _lamps(ecu: FoundEcu) -> dict[str, str]:
    lamps = ecu.lamps
    if lamps is None:
        return {}
    return {
        "mil": lamps.mil.value,
        "red_stop": lamps.red_stop.value,
        "amber_warning": lamps.amber_warning.value,
        "protect": lamps.protect.value,
    }


def _record(ecu: FoundEcu) -> dict[str, Any]:
    return {
        "bus": ecu.bus,
        "ecu": _name(ecu.ecu),
        "lists": {str(p): sorted(scopes) for p, scopes in ecu.asked.items()},
        "codes": [_code_record(found) for found in ecu.codes.values()],
        "lamps": _lamps(ecu),
        "facts": [
            {
                "kind": fact.kind.value,
                "identifier": fact.identifier,
                "text": fact.text,
                "bytes": fact.content.hex(),
            }
            for fact in ecu.facts.values()
        ],
        "vin": [f.text for f in ecu.facts.values() if f.kind is FactKind.VIN],
        "clears": [
            {
                "protocol": str(p),
                "codes": text,
                "count": clear.count,
                "first_seen": _clock(clear.first_ns),
                "last_seen": _clock(clear.last_ns),
            }
            for (p, text), clear in ecu.clears.items()
        ],
        "refusals": [
            {"protocol": str(p), "service": service, "reason": text, "count": count}
            for (p, service, text), count in ecu.refusals.items()
        ],
    }


def _code_record(found: FoundCode) -> dict[str, Any]:
    dtc, text = found.dtc, explain(found.dtc)
    return {
        "protocol": str(dtc.protocol),
        "code": dtc.code,
        "failure_type": dtc.failure_type,
        "lists": sorted(found.scopes),
        "status": dtc.status,
        "severity": dtc.severity,
        "occurrence_count": dtc.occurrence_count,
        "reports": found.reports,
        "first_seen": _clock(found.first_ns),
        "last_seen": _clock(found.last_ns),
        "freeze_frames": [
            {"number": frame.number, "parts": [[i, content.hex()] for i, content in frame.parts]}
            for frame in found.freeze_frames.values()
        ],
        "meaning": {"zh": text.zh, "en": text.en},
    }


def _name(ecu: int) -> str:
    """Hexadecimal: identifiers of three digits, source addresses of two."""
    return f"{ecu:03X}" if ecu > _SOURCE_ADDRESS_MAX else f"{ecu:02X}"


def _clock(observed_ns: int) -> str:
    return datetime.fromtimestamp(observed_ns / NS, UTC).isoformat(timespec="milliseconds")

"""Our own short texts for trouble codes, unfolded from `model/codes/*.toml`.

Source: SAE J2012 (code structure, failure types of the Digital Annex), SAE J1939-73 (FMI) and
SAE J1939-71 (SPN numbers). Meanings are theirs, every wording is ours.

    terms.toml           systems, severities, actions; which system a code's first characters mean
    endings.toml         how a run of codes ends ("signal too low"), and the usual runs
    j2012_*.toml         groups: first code = [zh, en]; a run unfolds it into the codes that follow
    j1939_spn.toml       SPNs in groups, and single SPN/FMI pairs that deserve better words
    j1939_fmi.toml       all 32 FMIs
    failure_types.toml   the third byte of a J2012-DA code
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files

from model.errors import RoadcallError
from model.severity import Severity
from model.vehicle import Record

LETTERS = "ABCDEFGHIJKL"


class CodeBookError(RoadcallError):
    """Our own data contradicts itself; names every fault."""


class Term(Record):
    """One text in both languages."""

    zh: str
    en: str


class Action(Term):
    """What to advise, and the severity it belongs to."""

    severity: Severity


class FailureMode(Term):
    """An FMI; `severity` only where the FMI itself grades the fault."""

    severity: Severity | None = None


class Entry(Term):
    """What we know of one code, or of one SPN without its FMI."""

    system: str
    severity: Severity
    action: str


class CodeBook(Record):
    """Everything in model/codes, unfolded."""

    systems: dict[str, Term]
    severities: dict[Severity, Term]
    actions: dict[str, Action]
    #: What to advise when only the severity is known.
    default_actions: dict[Severity, str]
    #: "P03" -> system; "P" alone where J2012 says no more.
    structure: dict[str, str]
    #: J2012 codes, J1939 codes as "110/0", SPNs as "110".
    codes: dict[str, Entry]
    fmis: dict[int, FailureMode]
    failure_types: dict[int, Term]
    failure_kinds: dict[int, Term]


class _Terms(Record):
    system: dict[str, Term]
    severity: dict[Severity, Term]
    action: dict[str, Action]
    default_action: dict[Severity, str]
    structure: dict[str, str]


class _Endings(Record):
    ending: dict[str, tuple[str, str]]
    run: dict[str, tuple[str, ...]]


class _Group(Record):
    """Codes that share system and action. `count` repeats the run with {n} and {letter}."""

    system: str
    action: str
    severity: Severity | None = None
    run: str = "as_it_is"
    count: int = 1
    hexadecimal: bool = False
    codes: dict[str, tuple[str, str]]


class _Groups(Record):
    group: tuple[_Group, ...]


class _FailureModes(Record):
    fmi: dict[int, FailureMode]


class _FailureTypes(Record):
    kind: dict[str, tuple[str, str]]
    type: dict[str, tuple[str, str]]


@cache
def code_book() -> CodeBook:
    """All texts. Raises CodeBookError or pydantic's ValidationError when a file is wrong."""
    terms = _Terms.model_validate(_read("terms.toml"))
    endings = _Endings.model_validate(_read("endings.toml"))
    types = _FailureTypes.model_validate(_read("failure_types.toml"))
    groups = [g for name in _group_files() for g in _Groups.model_validate(_read(name)).group]
    return CodeBook(
        systems=terms.system,
        severities=terms.severity,
        actions=terms.action,
        default_actions=terms.default_action,
        structure=terms.structure,
        codes=_unfold(groups, terms, endings),
        fmis=_FailureModes.model_validate(_read("j1939_fmi.toml")).fmi,
        failure_types={int(k, 16): Term(zh=v[0], en=v[1]) for k, v in types.type.items()},
        failure_kinds={int(k, 16): Term(zh=v[0], en=v[1]) for k, v in types.kind.items()},
    )


def following(first: str, offset: int, *, hexadecimal: bool = False) -> str:
    """The code `offset` after `first`.

    J2012 numbers its old ranges in decimal (P0309, P0310) and the later ones in hexadecimal
    (P0A2A, P0A2B): a letter in the last two characters says which.
    """
    if offset == 0:
        return first
    head, tail = first[:-2], first[-2:]
    if hexadecimal or not tail.isdigit():
        return f"{head}{int(tail, 16) + offset:02X}"
    return f"{head}{int(tail) + offset:02}"


def _unfold(groups: Iterable[_Group], terms: _Terms, endings: _Endings) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    faults: list[str] = []
    for group in groups:
        names = ", ".join(group.codes)
        if group.system not in terms.system:
            faults.append(f"{names}: no system {group.system}")
        if group.action not in terms.action:
            faults.append(f"{names}: no action {group.action}")
        elif group.run not in endings.run:
            faults.append(f"{names}: no run {group.run}")
        else:
            graded = terms.action[group.action].severity
            severity = graded if group.severity is None else group.severity
            for code, text in _members(group, endings):
                if code in found:
                    faults.append(f"{code}: named twice")
                found[code] = Entry(
                    **text.model_dump(),
                    system=group.system,
                    severity=severity,
                    action=group.action,
                )
    if faults:
        raise CodeBookError("; ".join(faults))
    return found


def _members(group: _Group, endings: _Endings) -> Iterator[tuple[str, Term]]:
    run = endings.run[group.run]
    for first, (zh, en) in group.codes.items():
        for k in range(group.count):
            numbers = {"n": k + 1, "letter": LETTERS[k]}
            for j, name in enumerate(run):
                code = following(first, k * len(run) + j, hexadecimal=group.hexadecimal)
                zh_ending, en_ending = endings.ending[name]
                yield (
                    code,
                    Term(
                        zh=zh_ending.format(part=zh.format(**numbers)),
                        en=en_ending.format(part=en.format(**numbers)),
                    ),
                )


def _group_files() -> list[str]:
    names = [path.name for path in files("model").joinpath("codes").iterdir()]
    return [*sorted(n for n in names if n.startswith("j2012_")), "j1939_spn.toml"]


def _read(name: str) -> dict[str, object]:
    return tomllib.loads(files("model").joinpath("codes", name).read_text("utf-8"))

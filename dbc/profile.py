"""A vehicle profile: which DBC files a vehicle speaks, and what their signals mean to us.

A profile is one TOML file, ours beside the DBC files of this folder or a user's in a search
folder. `Message.Signal` is bound to a name of the catalogue; what is not bound keeps that name.

    profile = "demo_car"                  # the file's own name
    powertrain = "combustion"             # combustion | hybrid | electric
    dbc = ["demo_car.dbc", "j1979.dbc"]   # the first file that knows an identifier decides
    j1939 = false                         # match 29-bit messages by PGN, J1939 quality patterns

    [signals]
    "EngineStatus.EngineSpeed" = "engine_speed_rpm"                     # unit converted for you
    "Body.Battery" = {name = "battery_voltage_v", factor = 0.1, offset = 0}   # on the DBC's value

    "Cells.Cell{01..96}" = "cell_voltage_v[1..96]"                      # dbc.numbered

    [messages.ObdAnswer]
    match = ["7E8:7F8", "18DAF100:1FFFFF00"]   # identifier:mask as candump filters are written
    iso_tp = true                              # byte 0 is an ISO 15765-2 single-frame length

`[dids]` and `[links]`, for diagnosis: dbc.diagnosis. Elements of an array are bound from 1 on
without a gap. A DBC file that has a TOML file of its name beside it brings that file's `[signals]`,
`[messages]`, `[dids]`, `[links]` and `j1939` with it; the profile's own lines win.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from dbc.diagnosis import DiagnosticLink, Did, Fault, did_message, read_dids, read_links
from dbc.numbered import expand_key, expand_name, missing_elements
from model.catalogue import catalogue, find_signal
from model.errors import RoadcallError

Key = TypeVar("Key")
Row = TypeVar("Row")
BUILT_IN = Path(str(files("dbc")))
POWERTRAINS = ("combustion", "hybrid", "electric")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_FILTER = re.compile(r"([0-9A-Fa-f]{3}|[0-9A-Fa-f]{8}):([0-9A-Fa-f]{3}|[0-9A-Fa-f]{8})")
_PROFILE_KEYS = {"profile", "powertrain", "dbc", "j1939", "signals", "messages", "dids", "links"}


class ProfileError(RoadcallError):
    """A profile, its DBC files or its signal map are wrong. Every fault, one per line."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Binding:
    """A catalogue name; `factor`/`offset` replace the automatic unit conversion when given."""

    name: str
    factor: float | None = None
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class IdFilter:
    """Identifiers with `id & mask == value`; the ignored bits become the run's source."""

    extended: bool
    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """What a DBC file cannot say about a message."""

    match: tuple[IdFilter, ...] = ()
    iso_tp: bool = False


@dataclass(frozen=True, slots=True)
class DbcFile:
    """One DBC file of a profile."""

    path: Path
    j1939: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile whose TOML is right; its DBC files are read by `decoders.plan.compile_plan`."""

    name: str
    powertrain: str
    files: tuple[DbcFile, ...]
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    messages: Mapping[str, MessageOptions] = field(default_factory=dict)
    #: By data identifier. Their fields are in `bindings` as well, under DID_0101.name.
    dids: Mapping[int, Did] = field(default_factory=dict)
    links: Mapping[str, DiagnosticLink] = field(default_factory=dict)
    hash: str = ""
    #: Where the profile was read, for fault texts.
    origin: str = ""

    @property
    def dbc(self) -> tuple[Path, ...]:
        """Paths of the DBC files, the deciding one first."""
        return tuple(f.path for f in self.files)

    @property
    def j1939(self) -> bool:
        """Whether J1939 transport and DM1 are to be read."""
        return any(f.j1939 for f in self.files)


def profile_names(search: Sequence[Path] = ()) -> list[str]:
    """Names of all profiles, built-in and in `search`."""
    return sorted({p.stem for folder in (*search, BUILT_IN) for p in Path(folder).glob("*.toml")})


def load_profile(name: str, search: Sequence[Path] = ()) -> Profile:
    """Read a profile by name; folders in `search` win over the built-in ones.

    Raises `ProfileError` with every fault, each naming file and key. Faults that only the DBC
    files can show (a signal that is not there, an unknown unit) are raised the same way by
    `decoders.plan.compile_plan`.
    """
    folders = [*map(Path, search), BUILT_IN]
    if not _NAME.fullmatch(name):
        raise ProfileError([f"profile {name!r}: not a name ({_NAME.pattern})"])
    path = next((f / f"{name}.toml" for f in folders if (f / f"{name}.toml").is_file()), None)
    if path is None:
        raise ProfileError([f"profile {name!r}: not one of {', '.join(profile_names(search))}"])
    reader = _Reader()
    profile = reader.profile(path, folders)
    if reader.faults:
        raise ProfileError(reader.faults)
    return profile


class _Reader:
    """Reads TOML files and collects faults."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def profile(self, path: Path, folders: Sequence[Path]) -> Profile:
        table = self._toml(path)
        name = self._text(path, table, "profile", path.stem)
        if name != path.stem:
            self._fault(path, "profile", f"{name!r} is not the file's name")
        powertrain = self._text(path, table, "powertrain", "combustion")
        if powertrain not in POWERTRAINS:
            self._fault(path, "powertrain", f"{powertrain!r} is not one of {POWERTRAINS}")
        bindings: dict[str, Binding] = {}
        messages: dict[str, MessageOptions] = {}
        dids: dict[int, Did] = {}
        links: dict[str, DiagnosticLink] = {}
        dbc_files: list[DbcFile] = []
        sides = [(path, table)]
        for dbc in self._dbc_paths(path, table, folders):
            beside = dbc.with_suffix(".toml")
            own = not beside.is_file() or beside == path
            side = (path, table) if own else (beside, self._toml(beside))
            dbc_files.append(DbcFile(dbc, self._flag(*side, "j1939")))
            if not own:
                sides.insert(-1, side)
        for where, side_table in sides:
            bindings.update(self._bindings(where, side_table))
            messages.update(self._messages(where, side_table))
            dids.update(self._said(where, read_dids(side_table.get("dids", {}))))
            links.update(self._said(where, read_links(side_table.get("links", {}))))
        bindings |= {
            f"{did_message(did)}.{field.name}": Binding(field.name)
            for did, row in dids.items()
            for field in row.fields
            if field.bound
        }
        for name_missing in missing_elements({b.name for b in bindings.values()}):
            self._fault(path, "signals", f"{name_missing} is bound to nothing, later elements are")
        profile = Profile(
            name, powertrain, tuple(dbc_files), bindings, messages, dids, links, origin=str(path)
        )
        return profile if self.faults else replace(profile, hash=_digest(profile))

    def _fault(self, path: Path, key: str, text: str) -> None:
        self.faults.append(f"{path}: {key}: {text}")

    def _said(self, path: Path, read: tuple[dict[Key, Row], list[Fault]]) -> dict[Key, Row]:
        """What was read of a table, its faults noted."""
        for key, text in read[1]:
            self._fault(path, key, text)
        return read[0]

    def _toml(self, path: Path) -> dict[str, object]:
        try:
            table: dict[str, object] = tomllib.loads(path.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            self._fault(path, "file", str(error))
            return {}
        for key in sorted(table.keys() - _PROFILE_KEYS):
            self._fault(path, key, "unknown key")
        return table

    def _text(self, path: Path, table: Mapping[str, object], key: str, default: str) -> str:
        value = table.get(key, default)
        if isinstance(value, str):
            return value
        self._fault(path, key, "must be a text")
        return default

    def _flag(self, path: Path, table: Mapping[str, object], key: str) -> bool:
        value = table.get(key, False)
        if not isinstance(value, bool):
            self._fault(path, key, "must be true or false")
        return value is True

    def _dbc_paths(
        self, path: Path, table: Mapping[str, object], folders: Sequence[Path]
    ) -> Iterator[Path]:
        names = table.get("dbc")
        if not isinstance(names, list) or not names:
            self._fault(path, "dbc", "must list at least one DBC file")
            return
        for name in names:
            tried = [f / str(name) for f in (path.parent, *folders)]
            found = next((p for p in tried if p.is_file()), None)
            if found is None:
                self._fault(path, "dbc", f"{name}: no such file")
            else:
                yield found

    def _rows(
        self, path: Path, table: Mapping[str, object], key: str
    ) -> Iterator[tuple[str, object]]:
        rows = table.get(key, {})
        if isinstance(rows, dict):
            yield from rows.items()
        else:
            self._fault(path, key, "must be a table")

    def _bindings(self, path: Path, table: Mapping[str, object]) -> dict[str, Binding]:
        bound: dict[str, Binding] = {}
        for key, row in self._rows(path, table, "signals"):
            where, binding = f"signals.{key!r}", _binding(row)
            if key.count(".") - 2 * key.count("..") != 1:
                self._fault(path, where, "must be written Message.Signal")
                continue
            if binding is None:
                self._fault(path, where, "must be a name or {name, factor, offset}")
                continue
            if binding.factor == 0:
                self._fault(path, where, "factor must not be 0")
            try:
                keys, names = expand_key(key), expand_name(binding.name)
            except ValueError as error:
                self._fault(path, where, str(error))
                continue
            if len(keys) != len(names):
                self._fault(path, where, f"{len(keys)} signals, {len(names)} names")
            for own, name in zip(keys, names, strict=False):
                if find_signal(name) is None:
                    self._fault(path, where, f"{name}: {_why_not(name)}")
                else:
                    bound[own] = replace(binding, name=name)
        return bound

    def _messages(self, path: Path, table: Mapping[str, object]) -> dict[str, MessageOptions]:
        options: dict[str, MessageOptions] = {}
        for key, row in self._rows(path, table, "messages"):
            where = f"messages.{key}"
            if not isinstance(row, dict) or row.keys() - {"match", "iso_tp"}:
                self._fault(path, where, "may hold match and iso_tp only")
                continue
            filters = row.get("match", [])
            parsed = [_id_filter(f) for f in filters] if isinstance(filters, list) else [None]
            if None in parsed:
                self._fault(path, f"{where}.match", 'must list "id:mask", both 3 or 8 digits')
            options[key] = MessageOptions(
                tuple(f for f in parsed if f is not None), self._flag(path, row, "iso_tp")
            )
        return options


def _binding(row: object) -> Binding | None:
    if isinstance(row, str):
        return Binding(row)
    if not isinstance(row, dict) or row.keys() - {"name", "factor", "offset"}:
        return None
    name, factor, offset = row.get("name"), row.get("factor", 1.0), row.get("offset", 0.0)
    if not isinstance(name, str) or any(type(x) not in (int, float) for x in (factor, offset)):
        return None
    return Binding(name, float(factor), float(offset))


def _why_not(name: str) -> str:
    signal = catalogue().get(name.partition("[")[0])
    if signal is None or not signal.elements:
        return "not in the catalogue"
    return f"an array, its elements are {signal.name}[1] to {signal.name}[{signal.elements}]"


def _id_filter(text: object) -> IdFilter | None:
    """`7E8:7F8` or `18DAF100:1FFFFF00`; at most 15 ignored bits, so that they fit a source."""
    found = _FILTER.fullmatch(text) if isinstance(text, str) else None
    if found is None or len(found[1]) != len(found[2]):
        return None
    extended = len(found[1]) == 8
    whole = 0x1FFFFFFF if extended else 0x7FF
    value, mask = int(found[1], 16), int(found[2], 16)
    if value & ~mask or mask & ~whole or (whole & ~mask) > 0x7FFF:
        return None
    return IdFilter(extended, value, mask)


def _digest(profile: Profile) -> str:
    """Content hash: everything a plan depends on, paths not included."""
    rows = [
        [key, b.name, b.factor, b.offset, signal.unit, signal.minimum, signal.maximum]
        for key, b in sorted(profile.bindings.items())
        if (signal := find_signal(b.name))
    ]
    options = [
        [key, o.iso_tp, [[f.extended, f.value, f.mask] for f in o.match]]
        for key, o in sorted(profile.messages.items())
    ]
    contents = [
        [f.path.name, f.j1939, hashlib.sha256(f.path.read_bytes()).hexdigest()]
        for f in profile.files
    ]
    dids = [[did, astuple(row)] for did, row in sorted(profile.dids.items())]
    text = json.dumps([profile.name, profile.powertrain, contents, rows, options, dids])
    return hashlib.sha256(text.encode()).hexdigest()

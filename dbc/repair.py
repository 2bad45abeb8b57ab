"""Mends DBC files as they are found, so that a strict parser loads them.

Source: Vector DBC file format; what is broken in practice: the files of the opendbc project.

    found                                          done
    29-bit identifier without bit 31               bit 31 set, in all statements about it
    identifier no frame can have                   message left out
    name that starts with a digit, has odd         an underscore in front or in place, everywhere
    characters or is a keyword
    .25, missing range, unit, receiver or sender   0.25, [0|0], "", Vector__XXX
    m without a number                             no multiplexer
    message or signal written twice alike          the second left out
    two signals of one name, two messages          the second renamed
    VAL_, SIG_VALTYPE_, SG_MUL_VAL_ of nothing     left out
    missing semicolon, BS_, colon; bit rates       written
    comments and attributes that cannot be read    left out
    UTF-8, UTF-16, byte order marks                read as such, everything else as Windows-1252

Line numbers stay as they are. What decides what bits mean and cannot be read is a fault.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

from dbc.repair_lines import Unreadable, mend_line, safe_name
from dbc.statements import Statement, statements

FLAG, MAX_STANDARD, MAX_EXTENDED = 1 << 31, 0x7FF, 0x1FFF_FFFF
#: Vector's container for signals without a message.
NO_MESSAGE = 0xC000_0000
#: Statements that change nothing in what frames mean.
_ABOUT = ("CM_", "BA_", "BA_DEF_", "BA_DEF_DEF_", "BA_REL_", "BA_DEF_REL_", "BA_DEF_DEF_REL_",
          "EV_", "ENVVAR_DATA_", "SIG_GROUP_", "VAL_TABLE_", "BO_TX_BU_", "BU_", "VERSION",
          "CAT_", "CAT_DEF_", "SIG_TYPE_REF_", "SGTYPE_", "BA_DEF_SGTYPE_", "BA_SGTYPE_",
          "NS_DESC_", "FILTER", "EV_DATA_", "SGTYPE_VAL_", "SIGTYPE_VALTYPE_")  # fmt: skip
#: Statements that a parser refuses when their message or signal is not there.
_NEEDS_OWNER = ("VAL_", "SIG_VALTYPE_", "SG_MUL_VAL_")
_COMMENT = re.compile(r"/\*|[#*;%]|--")


@dataclass(frozen=True, slots=True)
class Remark:
    """What was found on a line, counted from 1."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Repaired:
    """Text for a strict parser; worthless where there are faults."""

    text: str
    repairs: tuple[Remark, ...] = ()
    faults: tuple[Remark, ...] = ()


def repair(content: bytes, *, keep_about: bool = True) -> Repaired:
    """Mend one file. `keep_about=False` leaves out all comments and attributes too."""
    text, remarks = _read(content)
    mender = _Mender(text, remarks, keep_about=keep_about)
    for statement in statements(text):
        mender.take(statement)
    return mender.finish()


def _read(content: bytes) -> tuple[str, list[Remark]]:
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            text = content.decode(encoding, errors="replace")
            return text, [Remark(1, f"byte order mark: read as {encoding.upper()}")]
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace"), []


@dataclass(slots=True)
class _Owner:
    """A message while its signals are read."""

    name: str
    text: str
    signals: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)


class _Mender:
    def __init__(self, text: str, remarks: list[Remark], *, keep_about: bool) -> None:
        self.text = text
        self.repairs, self.keep_about = remarks, keep_about
        self.faults: list[Remark] = []
        self.edits: list[tuple[int, int, str]] = []
        self.line_starts = [0, *(m.end() for m in re.finditer("\n", text))]
        self.owners: dict[int, _Owner] = {}
        #: Identifiers as written -> as they must be.
        self.ids: dict[int, int] = {}
        self.names: set[str] = set()
        self.current: _Owner | None = None
        self.dropping = False
        self.later: list[Statement] = []
        self.after_names: int | None = None

    def take(self, statement: Statement) -> None:
        """One statement; those about a message wait until all messages are known."""
        if self.after_names is not None:
            self._close_names(statement)
        if statement.keyword == "NS_":
            self.after_names = statement.end
        elif statement.keyword in ("BO_", "SG_", "BS_"):
            mend = self._message if statement.keyword == "BO_" else self._signal
            self._line(statement, mend)
        else:
            self.later.append(statement)

    def finish(self) -> Repaired:
        for statement in self.later:
            self._about(statement)
        if not (self.owners or self.later or self.faults):
            self.faults.append(Remark(1, "nothing that belongs into a DBC file"))
        parts, at = [], 0
        for start, end, new in sorted(self.edits):
            parts += [self.text[at:start], new]
            at = end
        return Repaired(
            "".join([*parts, self.text[at:], "\n"]),
            tuple(sorted(self.repairs, key=lambda r: r.line)),
            tuple(sorted(self.faults, key=lambda r: r.line)),
        )

    # -- lines: BO_, SG_, BS_ --

    def _line(
        self, statement: Statement, accept: Callable[[Statement, str, re.Match[str]], None]
    ) -> None:
        """Mend a line where needed and hand it on."""
        written = statement.text(self.text)
        try:
            text, match, remark = mend_line(statement.keyword, written, statement.match)
        except Unreadable as error:
            self._fault(statement, f"{error}: {written.strip()}")
            return
        if remark:
            self._note(statement, remark)
        if statement.keyword == "BS_":
            self._put(statement, text, written)
        else:
            accept(statement, text, match)

    def _message(self, statement: Statement, text: str, match: re.Match[str]) -> None:
        written, name = int(match["id"]), match["name"]
        number, remark = _identifier(written)
        self.current, self.dropping = None, True
        if number is None:
            self._drop(statement, f"{name}: {remark}; message left out")
            return
        holder = self.owners.get(number)
        if holder is not None:
            self._twin(statement, text, number, name, holder)
            return
        if remark:
            self._note(statement, f"{name}: {remark}")
            self.ids[written] = number
        fresh = _free(name, self.names)
        if fresh != name:
            self._note(statement, f"{name}: a second message of this name, now {fresh}")
        self.names.add(fresh)
        self.current = self.owners[number] = _Owner(fresh, text)
        self.dropping = False
        text = _respell(text, match, {"id": str(number), "name": fresh})
        self._put(statement, text, statement.text(self.text))

    def _twin(
        self, statement: Statement, text: str, number: int, name: str, holder: _Owner
    ) -> None:
        """A second message of one identifier: left out where it is the same word by word."""
        if _words(text) == _words(holder.text):
            self._drop(statement, f"{name}: written twice; the second left out")
        else:
            shown = f"0x{number & ~FLAG:X}"
            self._fault(statement, f"{name}: identifier {shown} belongs to {holder.name}")

    def _signal(self, statement: Statement, text: str, match: re.Match[str]) -> None:
        owner, name = self.current, match["name"]
        if owner is None:
            if self.dropping:
                self._put(statement, "", statement.text(self.text))
            else:
                self._fault(statement, f"{name}: a signal outside a message")
            return
        if int(match["size"]) == 0:
            self._drop(statement, f"{name}: no bits; left out")
            return
        if _words(text) == owner.signals.get(name):
            self._drop(statement, f"{name}: written twice; the second left out")
            return
        fresh = _free(name, owner.signals)
        if fresh != name:
            self._note(statement, f"{name}: a second signal of this name, now {fresh}")
        owner.signals[fresh] = _words(text)
        text = _respell(text, match, {"name": fresh})
        self._put(statement, text, statement.text(self.text))

    def _close_names(self, statement: Statement) -> None:
        """cantools finds the end of the NS_ section by a word and a colon."""
        assert self.after_names is not None
        if statement.keyword not in ("BS_", "BU_"):
            self.edits.append((self.after_names, self.after_names, " BS_: "))
            self._note(statement, "BS_ is missing")
        self.after_names = None

    # -- statements about messages --

    def _about(self, statement: Statement) -> None:
        keyword, match = statement.keyword, statement.match
        written = statement.text(self.text)
        if keyword == "":
            if _COMMENT.match(written):
                self._drop(statement, "comment left out")
            else:
                self._fault(statement, f"not a statement: {written.strip()[:60]}")
            return
        if keyword in _ABOUT and not self.keep_about:
            self._put(statement, "", written)
            return
        text, remark = written, ""
        if match is None:
            try:
                text, match, remark = mend_line(keyword, written, None)
            except Unreadable as error:
                if keyword in _ABOUT or keyword == "VAL_":
                    self._drop(statement, f"{keyword} left out: {error}")
                else:
                    self._fault(statement, f"{error}: {written.strip()}")
                return
        self._owned(statement, text, match, remark)

    def _owned(self, statement: Statement, text: str, match: re.Match[str], remark: str) -> None:
        """Write a statement under its message's and signal's present names."""
        keyword, found = statement.keyword, match.groupdict()
        group = "id" if found.get("id") else "id2"
        if not found.get(group):
            self._note(statement, remark)
            self._put(statement, text, statement.text(self.text))
            return
        number = int(found[group])
        number = self.ids.get(number, number)
        owner = self.owners.get(number)
        names = {k: safe_name(found[k]) for k in ("name", "name2") if found.get(k)}
        lost = next((n for n in names.values() if owner and n not in owner.signals), "")
        if keyword in _NEEDS_OWNER and (owner is None or lost):
            what = f"signal {lost}" if owner else f"message {found[group]}"
            self._drop(statement, f"{keyword} left out: no {what}")
            return
        self._note(statement, remark)
        text = _respell(text, match, {group: str(number), **names})
        self._put(statement, text, statement.text(self.text))

    # -- bookkeeping --

    def _put(self, statement: Statement, new: str, old: str) -> None:
        if new != old:
            kept = "\n" * (old.count("\n") - new.count("\n"))
            self.edits.append((statement.start, statement.end, new + kept))

    def _drop(self, statement: Statement, why: str) -> None:
        self._note(statement, why)
        self._put(statement, "", statement.text(self.text))

    def _note(self, statement: Statement, text: str) -> None:
        if text:
            self.repairs.append(Remark(self._line_of(statement), text))

    def _fault(self, statement: Statement, text: str) -> None:
        self.faults.append(Remark(self._line_of(statement), text))

    def _line_of(self, statement: Statement) -> int:
        return bisect_right(self.line_starts, statement.start)


def _identifier(written: int) -> tuple[int | None, str]:
    """The identifier with its flag, None where no frame can have it; and what was wrong."""
    number = written & ~FLAG
    if written == NO_MESSAGE or (number <= MAX_EXTENDED and written >= FLAG):
        return written, ""
    if number > MAX_EXTENDED:
        return (written, "") if number == NO_MESSAGE & ~FLAG else (
            None, f"no frame has identifier 0x{number:X}"
        )  # fmt: skip
    if written <= MAX_STANDARD:
        return written, ""
    return written | FLAG, f"0x{written:X} is a 29-bit identifier without its flag"


def _free(name: str, taken: dict[str, str] | set[str]) -> str:
    number, fresh = 2, name
    while fresh in taken:
        fresh, number = f"{name}_{number}", number + 1
    return fresh


def _words(text: str) -> str:
    return " ".join(text.split())


def _respell(text: str, match: re.Match[str], groups: dict[str, str]) -> str:
    """`text`, which `match` matched from its first character, with some groups replaced."""
    base = match.start()
    for group, new in sorted(groups.items(), key=lambda g: match.start(g[0]), reverse=True):
        start, end = match.span(group)
        if match[group] != new:
            text = text[: start - base] + new + text[end - base :]
    return text

"""What a trouble code means, in both languages, and what to advise.

A list of a maker or an operator goes before our own texts, the nearest first: a list for the
model, a list for the brand, a list for everything, ours. What a row leaves out is taken from our
own entry. A code nobody knows is a value too: its structure is explained, severity UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.code_names import J1939, J2012, SPN, keys
from model.code_texts import Entry, Term, code_book
from model.codes import CodeProtocol, Dtc
from model.severity import Severity
from model.vehicle import Record

#: The source of our own texts.
OWN = "roadcall"
TRIAGE = "triage"
#: J1939-71 leaves the SPNs from here on to the makers.
MAKERS_SPN = 516_096


class ListedCode(Record):
    """One row of a list; at least one of the texts is there."""

    code: str
    zh: str = ""
    en: str = ""
    system: str = ""
    severity: Severity | None = None
    action: str = ""


class CodeList(Record):
    """A list of codes: for one model of a brand, for a brand, or for every vehicle."""

    name: str
    brand: str = ""
    model: str = ""
    codes: dict[str, ListedCode]


class CodeText(Record):
    """A code, explained. `source` is `roadcall` or the list's name."""

    code: str
    zh: str
    en: str
    system: str
    severity: Severity
    action: str
    source: str = OWN
    known: bool = True


def explain(dtc: Dtc, lists: Sequence[CodeList] = (), brand: str = "", model: str = "") -> CodeText:
    """The best text we have; of lists equally near, the first one given wins. Never raises."""
    own = _own(dtc)
    for code_list in sorted(lists, key=_distance):
        if _is_for(code_list, brand, model):
            for key in keys(dtc):
                if key in code_list.codes:
                    return _overridden(own, dtc, code_list.codes[key], code_list.name)
    return own


def action_for(severity: Severity) -> str:
    """What to advise when no more than the severity is known."""
    return code_book().default_actions[severity]


def _distance(code_list: CodeList) -> int:
    return 0 if code_list.model else 1 if code_list.brand else 2


def _is_for(code_list: CodeList, brand: str, model: str) -> bool:
    return (not code_list.brand or code_list.brand.casefold() == brand.casefold()) and (
        not code_list.model or code_list.model.casefold() == model.casefold()
    )


def _overridden(own: CodeText, dtc: Dtc, row: ListedCode, source: str) -> CodeText:
    """Our own text with all a row says put over it."""
    is_exact = row.code == keys(dtc)[0]
    text = Term(zh=row.zh or row.en, en=row.en or row.zh)
    if not is_exact:
        text = _with_detail(text, dtc)
    severity, action = own.severity, own.action
    if is_exact or not _grades_itself(dtc):
        severity, action = _advice(own, row)
    return CodeText(
        code=own.code,
        zh=text.zh,
        en=text.en,
        system=row.system or own.system,
        severity=severity,
        action=action,
        source=source,
    )


def _advice(own: CodeText, row: ListedCode) -> tuple[Severity, str]:
    if row.severity is None:
        action = row.action or own.action
        return (code_book().actions[action].severity if row.action else own.severity), action
    if row.action or row.severity is own.severity:
        return row.severity, row.action or own.action
    return row.severity, action_for(row.severity)


def _own(dtc: Dtc) -> CodeText:
    book = code_book()
    exact, *rest = keys(dtc)
    if dtc.conversion_method == 0 and exact in book.codes:
        return _text(dtc, book.codes[exact], known=True)
    if dtc.protocol is CodeProtocol.J1939:
        return _own_j1939(dtc)
    for key in rest:
        if key in book.codes:
            return _text(dtc, _detailed(book.codes[key], dtc), known=True)
    return _text(dtc, _detailed(_unknown_j2012(dtc.code), dtc), known=False)


def _own_j1939(dtc: Dtc) -> CodeText:
    """The SPN's name and the FMI; where the FMI grades the fault, it decides the severity."""
    book = code_book()
    spn = dtc.code.partition("/")[0]
    entry = book.codes.get(spn) if dtc.conversion_method == 0 else None
    base = entry or _unknown_spn(spn, is_old=dtc.conversion_method != 0)
    graded = book.fmis[_fmi(dtc)].severity if _grades_itself(dtc) else None
    if graded is not None and graded is not base.severity:
        base = base.model_copy(update={"severity": graded, "action": action_for(graded)})
    return _text(dtc, _detailed(base, dtc), known=entry is not None)


def _text(dtc: Dtc, entry: Entry, *, known: bool) -> CodeText:
    return CodeText(code=keys(dtc)[0], **entry.model_dump(), known=known)


def _detailed(entry: Entry, dtc: Dtc) -> Entry:
    return entry.model_copy(update=_with_detail(Term(zh=entry.zh, en=entry.en), dtc).model_dump())


def _with_detail(text: Term, dtc: Dtc) -> Term:
    """A name with the FMI or the failure type said behind it."""
    if dtc.protocol is CodeProtocol.J1939:
        fmi = _fmi(dtc)
        if fmi not in code_book().fmis:
            return text
        mode = code_book().fmis[fmi]
        return Term(zh=f"{text.zh}：{mode.zh}", en=f"{text.en}: {mode.en}")
    if not dtc.failure_type:
        return text
    kind = failure_type(dtc.failure_type)
    return Term(zh=f"{text.zh}（{kind.zh}）", en=f"{text.en} ({kind.en})")


def failure_type(number: int) -> Term:
    """Text of the J2012-DA third byte; an unlisted one is named by its kind."""
    book = code_book()
    if number in book.failure_types:
        return book.failure_types[number]
    kind = book.failure_kinds.get(number >> 4, Term(zh="厂家定义", en="maker's own"))
    return Term(zh=f"{kind.zh} {number:02X}", en=f"{kind.en} {number:02X}")


def _grades_itself(dtc: Dtc) -> bool:
    modes = code_book().fmis
    fmi = _fmi(dtc)
    return fmi in modes and modes[fmi].severity is not None


def _fmi(dtc: Dtc) -> int:
    """-1 where there is none."""
    found = J1939.fullmatch(dtc.code) if dtc.protocol is CodeProtocol.J1939 else None
    return int(found["fmi"]) if found else -1


def _unknown_spn(spn: str, *, is_old: bool) -> Entry:
    zh, en = f"SPN {spn}", f"SPN {spn}"
    if is_old:
        zh, en = f"{zh}（旧编码方式，编号待核实）", f"{en} (old numbering, verify the number)"
    elif SPN.fullmatch(spn) and int(spn) >= MAKERS_SPN:
        zh, en = f"厂家自定义 {zh}", f"Maker's own {en}"
    return Entry(zh=zh, en=en, system="", severity=Severity.UNKNOWN, action=TRIAGE)


def _unknown_j2012(code: str) -> Entry:
    """What the characters say by themselves."""
    if not J2012.fullmatch(code):
        zh, en, system = "无法识别的故障码", "Not a code of a known form", ""
    else:
        structure = code_book().structure
        system = structure.get(code[:3], structure[code[0]])
        of_zh, of_en = code_book().systems[system].zh, code_book().systems[system].en
        zh, en = f"标准故障码，暂无说明：{of_zh}", f"Standard code without a text: {of_en}"
        if _is_makers(code):
            zh, en = f"厂家自定义故障码：{of_zh}", f"Maker's own code: {of_en}"
    return Entry(zh=zh, en=en, system=system, severity=Severity.UNKNOWN, action=TRIAGE)


def _is_makers(code: str) -> bool:
    """J2012: P1, P30 to P33, and C, B, U with first digit 1 or 2."""
    if code[0] == "P":
        return code[1] == "1" or (code[1] == "3" and code[2] in "0123")
    return code[1] in "12"

"""Cuts DBC text into statements, whole ones and broken ones.

Source: Vector DBC file format, as cantools' grammar reads it (a whole statement is one that
cantools accepts).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Words cantools takes for keywords wherever they stand.
KEYWORDS = frozenset(
    [
        *("BA_", "BA_DEF_", "BA_DEF_DEF_", "BA_DEF_DEF_REL_", "BA_DEF_REL_", "BA_DEF_SGTYPE_"),
        *("BA_REL_", "BA_SGTYPE_", "BO_", "BO_TX_BU_", "BS_", "BU_", "BU_BO_REL_", "BU_EV_REL_"),
        *("BU_SG_REL_", "CAT_", "CAT_DEF_", "CM_", "ENVVAR_DATA_", "EV_", "EV_DATA_", "FILTER"),
        *("NS_", "NS_DESC_", "SG_", "SG_MUL_VAL_", "SGTYPE_", "SGTYPE_VAL_", "SIG_GROUP_"),
        *("SIG_TYPE_REF_", "SIG_VALTYPE_", "SIGTYPE_VALTYPE_", "VAL_", "VAL_TABLE_", "VERSION"),
    ]
)
_SKIP = r"(?:[ \r\n\t]|//[^\n]*(?:\n|$))*"
NUMBER = r"[-+]?\d+\.?\d*(?:[eE][+-]?\d+)?"
WORD = rf"(?!(?:{'|'.join(sorted(KEYWORDS))})\b)[A-Za-z_][A-Za-z0-9_]*"
_STRING = r'"(?:\\"|[^"])*?"'
_COUNT = r"(?:0|[1-9]\d*)"
_SHORT = {
    "N": NUMBER,
    "W": WORD,
    "S": _STRING,
    "C": _COUNT,
    "<id>": r"(?P<id>\d+)",
    "<id2>": r"(?P<id2>\d+)",
    "<id3>": r"(?P<id3>\d+)",
    "<name>": f"(?P<name>{WORD})",
    "<name2>": f"(?P<name2>{WORD})",
    "<name3>": f"(?P<name3>{WORD})",
    "<mux>": r"(?P<mux>M|m\d+M?)",
    "<sign>": r"[-+]",
    "<order>": "[01]",
    "<size>": f"(?P<size>{_COUNT})",
    "<type>": r"(?P<type>\d+)",
}
#: Statements in cantools' grammar; `( … )*` and `( … )?` are regular expression groups.
_GRAMMAR = {
    "VERSION": ["VERSION S"],
    "BS_": ["BS_ :"],
    "BU_": [r"BU_ : (?: W )*"],
    "BO_": ["BO_ <id> <name> : <size> W"],
    "SG_": [
        r"SG_ <name> (?: <mux> )? : C \| <size> @ <order> <sign> \( N , N \) \[ N \| N \] S"
        r" W (?: , W )*"
    ],
    "EV_": [r"EV_ W : N \[ N \| N \] S N N W W (?: , W )* ;"],
    "ENVVAR_DATA_": ["ENVVAR_DATA_ W : N ;"],
    "CM_": [
        "CM_ S ;", "CM_ SG_ <id> <name> S ;", "CM_ BO_ <id> S ;", "CM_ EV_ W S ;", "CM_ BU_ W S ;",
    ],
    "BA_DEF_": [r"BA_DEF_ (?: SG_ | BO_ | EV_ | BU_ )? S W (?: S (?: , S )* | (?: N )* ) ;"],
    "BA_DEF_DEF_": ["BA_DEF_DEF_ S (?: N | S ) ;"],
    "BA_": [
        r"BA_ S SG_ <id> <name> (?: N | S ) ;",
        r"BA_ S BO_ <id2> (?: N | S ) ;",
        r"BA_ S (?: BU_ W | EV_ W )? (?: N | S ) ;",
    ],
    "BA_DEF_REL_": [
        r"BA_DEF_REL_ (?: BU_SG_REL_ | BU_BO_REL_ | BU_EV_REL_ )? S W"
        r" (?: S (?: , S )* | (?: N )* ) ;"
    ],
    "BA_DEF_DEF_REL_": ["BA_DEF_DEF_REL_ S (?: N | S ) ;"],
    "BA_REL_": [
        "BA_REL_ S BU_SG_REL_ W SG_ <id> <name> (?: N | S ) ;",
        "BA_REL_ S BU_BO_REL_ W <id2> (?: N | S ) ;",
    ],
    "VAL_": [r"VAL_ <id> <name> (?: [-+]?\d+ S )* ;", r"VAL_ W (?: N S )* ;"],
    "VAL_TABLE_": [r"VAL_TABLE_ W (?: [-+]?\d+ S )* ;"],
    "SIG_VALTYPE_": ["SIG_VALTYPE_ <id> <name> : <type> ;"],
    "SG_MUL_VAL_": [r"SG_MUL_VAL_ <id> <name> <name2> \d+ -\d+ (?: , \d+ -\d+ )* ;"],
    "BO_TX_BU_": ["BO_TX_BU_ <id> : W (?: , W )* ;"],
    "SIG_GROUP_": ["SIG_GROUP_ <id> W N : (?: W )* ;"],
}  # fmt: skip
#: Keywords that end at the end of their line; all others end with a semicolon.
LINES = ("VERSION", "BS_", "BU_", "BO_", "SG_")


def _compiled(template: str) -> str:
    tokens = [_SHORT.get(token, token) for token in template.split()]
    loose = _SKIP.join(tokens)
    # No blanks are needed after an opening or before a closing of a regular expression group.
    return re.sub(r"(\(\?:|\|)" + re.escape(_SKIP), r"\1", loose)


_WHOLE = {
    keyword: [re.compile(_compiled(t), re.ASCII) for t in templates]
    for keyword, templates in _GRAMMAR.items()
}
_SPACE = re.compile(_SKIP)
_FIRST_WORD = re.compile(r"[A-Z_]+", re.ASCII)
_LINE = re.compile(r"[^\n]*")
_END_OF_LINE = re.compile(rf"[ \t\r]*(?:\n|$|//|(?:{'|'.join(sorted(KEYWORDS))})\b)")
_TO_SEMICOLON = re.compile(r"[^\n]*(?:\n(?!\s*[A-Z_]+_\b)[^\n]*)*?;[ \t\r]*(?=\n|$)")
_NAMES_SECTION = re.compile(r"NS_[ \t]*:?[ \t\r]*(?:\n[ \t]*\w*[ \t\r]*(?=\n|$))*", re.ASCII)
_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def match_whole(keyword: str, text: str) -> re.Match[str] | None:
    """The match of a text that is exactly one statement."""
    for pattern in _WHOLE[keyword]:
        if match := pattern.fullmatch(text):
            return match
    return None


@dataclass(frozen=True, slots=True)
class Statement:
    """A piece of the text. `match` is None where cantools would not accept it."""

    keyword: str
    start: int
    end: int
    match: re.Match[str] | None

    def text(self, of: str) -> str:
        return of[self.start : self.end]


def statements(text: str) -> Iterator[Statement]:
    """All statements in order. Keyword "" is text that belongs to none."""
    at = _skip(text, 0)
    while at < len(text):
        found = _statement(text, at)
        yield found
        at = _skip(text, max(found.end, at + 1))


def _skip(text: str, at: int) -> int:
    blank = _SPACE.match(text, at)
    return blank.end() if blank else at


def _statement(text: str, at: int) -> Statement:
    word = _FIRST_WORD.match(text, at)
    keyword = word[0] if word and word[0] in KEYWORDS else ""
    if keyword == "NS_":
        section = _NAMES_SECTION.match(text, at)
        assert section
        return Statement(keyword, at, section.end(), section)
    for pattern in _WHOLE.get(keyword, ()):
        match = pattern.match(text, at)
        if match and (keyword not in LINES or _END_OF_LINE.match(text, match.end())):
            return Statement(keyword, at, match.end(), match)
    comment = _BLOCK_COMMENT.match(text, at)
    piece = comment or (None if keyword in ("", *LINES) else _TO_SEMICOLON.match(text, at))
    piece = piece or _LINE.match(text, at)
    assert piece
    return Statement(keyword, at, piece.end(), None)

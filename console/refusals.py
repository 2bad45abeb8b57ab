"""Why a step was refused, in the reader's language, from console/refusals.toml."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files

from console.text import Speech
from model.errors import TransitionError

#: Which texts name the states of a noun.
STATE_WORDS = {
    "alert": ("handling_", "alert_"),
    "rescue case": ("case_",),
    "diagnosis case": ("diagnosis_",),
    "work order": ("order_",),
}


@cache
def load_refusals() -> dict[str, str]:
    """What the API says -> the same in zh-CN."""
    return tomllib.loads(files("console").joinpath("refusals.toml").read_text("utf-8"))


def in_chinese(why: str) -> str:
    """The reason in zh-CN; `{}` in the table stands for a figure or a name."""
    for english, chinese in load_refusals().items():
        pattern = re.escape(english).replace(re.escape("{}"), "(.+)")
        if found := re.fullmatch(pattern, why):
            return chinese.format(*found.groups())
    return why


def refusal(speech: Speech, fault: TransitionError) -> str:
    """One sentence for a person. A reason nobody has translated yet is shown as the API says it."""
    if fault.why:
        why = in_chinese(fault.why) if speech.language == "zh" else fault.why
        return speech("step_refused_why", why=why)
    keys = [f"{prefix}{fault.state}" for prefix in STATE_WORDS.get(fault.noun, ())]
    said = next(filter(None, (speech.maybe(key, "") for key in keys)), "")
    return speech("step_refused_state", state=said) if said else speech("step_refused")

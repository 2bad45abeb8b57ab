"""A question before a step: choices from lists, and a reason. Answers come back as typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from nicegui import ui

from console.text import Speech
from console.widgets import box, button, words

#: Same bound as the API's reasons.
REASON_CHARS = "500"


@dataclass(frozen=True, slots=True)
class Choice:
    """One list to choose from: value -> what a person reads."""

    label: str
    options: Mapping[str, str]


def ask(
    speech: Speech,
    title: str,
    choices: Sequence[Choice],
    answer: Callable[[list[str], str], object],
    *,
    about: str = "",
    reason_needed: bool,
) -> None:
    """Open a dialog; `answer` gets the chosen values and the reason. `about` says of what."""
    with ui.context.client, ui.dialog() as dialog, box("form", "dialog") as form:
        words("h2", "", title)
        if about:
            words("p", "", about)
        for choice in choices:
            with box("select", "field", aria_label=choice.label):
                for value, text in choice.options.items():
                    words("option", "", text, value=value)
        field = box("input", "field", type="text", maxlength=REASON_CHARS)
        field.props["placeholder"] = speech("reason_needed" if reason_needed else "reason")
        field.props["aria-label"] = speech("reason")
        if reason_needed:
            field.props["required"] = "required"
        if not choices:
            field.props["autofocus"] = True
        with box("div", "steps"):
            button(speech("back"), dialog.close, "quiet")
            words("button", "button strong", title, type="submit")

    def submit(given: object) -> None:
        chosen = [str(value) for value in given] if isinstance(given, list) else []
        values, reason = chosen[: len(choices)], "".join(chosen[len(choices) :]).strip()
        valid = len(chosen) == len(choices) + 1 and all(
            value in choice.options for value, choice in zip(values, choices, strict=True)
        )
        if valid and (reason or not reason_needed):
            dialog.close()
            answer(values, reason[: int(REASON_CHARS)])

    form.on(
        "submit",
        lambda e: submit(e.args),
        js_handler="(e) => { e.preventDefault(); emit([...e.target.elements]"
        ".filter(f => f.tagName !== 'BUTTON').map(f => f.value)) }",
    )
    dialog.on("hide", lambda _: dialog.delete(), args=[])
    dialog.open()

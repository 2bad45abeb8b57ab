"""Every step people take with a due service, and every one that is refused."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from dispatch.maintenance_item import MACHINE, ItemStep
from model.errors import TransitionError
from model.maintenance import Answer, ItemHandling

S, V = ItemHandling, ItemStep
#: By hand: rows are states, columns yes, postpone, no, not_applicable, reopen, lapse, done.
EXPECTED = {
    S.OPEN: (S.BOOKED, S.SNOOZED, S.DECLINED, S.NOT_APPLICABLE, None, None, S.OPEN),
    S.BOOKED: (S.BOOKED, S.SNOOZED, S.DECLINED, S.NOT_APPLICABLE, S.OPEN, S.OPEN, S.OPEN),
    S.SNOOZED: (S.BOOKED, S.SNOOZED, S.DECLINED, S.NOT_APPLICABLE, S.OPEN, S.OPEN, S.OPEN),
    S.DECLINED: (S.BOOKED, None, None, S.NOT_APPLICABLE, S.OPEN, None, S.OPEN),
    S.NOT_APPLICABLE: (None, None, None, None, S.OPEN, None, None),
}


@pytest.mark.parametrize(("state", "verb"), list(product(S, V)))
def test_every_step(state: ItemHandling, verb: ItemStep) -> None:
    expected = EXPECTED[state][list(V).index(verb)]
    if expected is not None:
        assert MACHINE.after(state, verb) is expected
        return
    with pytest.raises(TransitionError, match=f"maintenance item in state {state} cannot {verb}"):
        MACHINE.after(state, verb)


def test_every_answer_is_a_step() -> None:
    assert {ItemStep(answer) for answer in Answer} == set(V) - {V.LAPSE, V.DONE}


def test_the_diagram_in_the_docs_is_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "state-machines.md").read_text("utf-8")
    assert f"```mermaid\n{MACHINE.diagram()}```" in page

"""What people decide about a due service. Pure; one table holds every step (domain.md 6.7).

The counters (ok, due_soon, due, overdue) go on beside it, see rules.maintenance.
"""

from __future__ import annotations

from enum import StrEnum

from dispatch.machine import Machine
from model.maintenance import ItemHandling


class ItemStep(StrEnum):
    """The owner's answers (model.maintenance.Answer), a done record, and time passing."""

    YES = "yes"
    POSTPONE = "postpone"
    NO = "no"
    NOT_APPLICABLE = "not_applicable"
    REOPEN = "reopen"
    LAPSE = "lapse"
    DONE = "done"


S, V = ItemHandling, ItemStep
ASKED = (S.OPEN, S.BOOKED, S.SNOOZED)

TABLE: dict[tuple[ItemHandling, ItemStep], ItemHandling] = {
    **{(state, V.YES): S.BOOKED for state in (*ASKED, S.DECLINED)},
    **{(state, V.POSTPONE): S.SNOOZED for state in ASKED},
    **{(state, V.NO): S.DECLINED for state in ASKED},
    **{(state, V.NOT_APPLICABLE): S.NOT_APPLICABLE for state in (*ASKED, S.DECLINED)},
    **{(state, V.REOPEN): S.OPEN for state in S if state is not S.OPEN},
    **{(state, V.LAPSE): S.OPEN for state in (S.BOOKED, S.SNOOZED)},
    **{(state, V.DONE): S.OPEN for state in (*ASKED, S.DECLINED)},
}

MACHINE = Machine(
    noun="maintenance item",
    first={S.OPEN: "its programme or a campaign has it"},
    last=frozenset({S.NOT_APPLICABLE}),
    table=TABLE,
)

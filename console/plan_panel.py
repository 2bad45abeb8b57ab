"""Inside the middle column: the chosen vehicle's diagnosis cases, their repair plans and visits."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from console.figures import number, quantity
from console.questions import ask
from console.text import Speech, signal_title
from console.widgets import box, button, show_if, words
from console.work_bodies import DiagnosisCaseDetail, WorkOrderBody
from dispatch.diagnosis_case import CaseFacts, CaseStep
from dispatch.work_order import NEEDS, WITH_REASON, OrderStep
from model.catalogue import catalogue
from model.repair_plan import Hypothesis, Phrase, PlanBody, RepairPlan

#: Steps the page offers; the rest follow the work order or are told by other systems.
CASE_BUTTONS = (CaseStep.ESCALATE, CaseStep.CALL_EXPERT, CaseStep.SOLVE_REMOTELY)
#: Steps of an order that need nothing but a click.
QUICK = frozenset(OrderStep) - WITH_REASON - set(NEEDS) - {OrderStep.REQUEST, OrderStep.FIND_EXTRA}
#: The dispatcher's own.
QUICK -= {OrderStep.VERIFY, OrderStep.PASS_VERIFICATION, OrderStep.RECUR}

MoveCase: TypeAlias = Callable[[uuid.UUID, CaseStep, str, CaseFacts], object]
MoveOrder: TypeAlias = Callable[[uuid.UUID, OrderStep], object]


class PlanPanel:
    """Everything about the faults of one vehicle that is not rescue. Drawn anew when it changes."""

    def __init__(
        self,
        speech: Speech,
        *,
        move_case: MoveCase,
        move_order: MoveOrder,
        approve: Callable[[uuid.UUID, int], object],
        request: Callable[[uuid.UUID], object],
    ) -> None:
        self._speech = speech
        self._move_case, self._move_order = move_case, move_order
        self._approve, self._request = approve, request
        self._shown: list[DiagnosisCaseDetail] = []
        self.root = box("section", "plans", aria_label=speech("plans"))
        show_if(self.root, False)

    def show(self, cases: Sequence[DiagnosisCaseDetail]) -> None:
        """Follow the cases of the chosen vehicle. Running clocks alone change nothing here."""
        bare = [case.model_copy(update={"clocks": []}) for case in cases]
        if bare == self._shown:
            return
        self._shown = bare
        self.root.clear()
        show_if(self.root, bool(cases))
        with self.root:
            words("h4", "", self._speech("plans"))
            for case in cases:
                self._case(case)

    def _case(self, case: DiagnosisCaseDetail) -> None:
        speech = self._speech
        with box("article", f"plan sev{int(case.severity)}"):
            with box("header", "planhead"):
                words("span", "tag", speech(f"diagnosis_{case.state}"))
                title = case.title.zh if speech.language == "zh" else case.title.en
                words("span", "headline", title)
                words("span", "who", speech("help_level", level=case.level, owner=case.owner))
            if case.repeat_no > 1:
                words("p", "repeat", speech("repeat_no", n=case.repeat_no))
            if case.plan is not None:
                self._plan(case.plan)
            with box("div", "steps"):
                self._case_buttons(case)
            if case.work_order is not None:
                self._order(case.work_order)

    def _plan(self, plan: RepairPlan) -> None:
        speech, body = self._speech, plan.body
        state = (
            speech("plan_approved", version=plan.version, who=plan.approved_by)
            if plan.approved_by
            else speech("plan_draft", version=plan.version)
        )
        words("p", "planstate", state)
        words("p", "meta", self._meta(body))
        with box("details", "plandetail"):
            words("summary", "", speech("plan_open"))
            self._list("ul", "plan_hypotheses", map(self._hypothesis, body.hypotheses))
            tests = (self._good(t, t.good) for t in body.tests)
            self._list("ol", "plan_tests", tests)
            parts = (f"{self._say(p)} × {p.qty:g} {p.part_no}".rstrip() for p in body.parts)
            self._list("ul", "plan_parts", parts)
            self._list("ul", "plan_tools", map(self._say, body.tools))
            documents = (f"{self._say(d)} ({d.ref})" for d in body.documents)
            self._list("ul", "plan_documents", documents)
            causes = (f"{c.confirmed_cause} → {c.correction or '–'}" for c in body.similar_cases)
            self._list("ul", "plan_similar", causes)

    def _list(self, tag: str, title: str, lines: Iterable[str]) -> None:
        found = list(lines)
        if found:
            words("h5", "", self._speech(title))
            with box(tag):
                for line in found:
                    words("li", "", line)

    def _meta(self, body: PlanBody) -> str:
        speech = self._speech
        said = [speech("plan_skill", level=body.min_skill_level)]
        if body.labour_min is not None:
            said.insert(0, speech("plan_labour", minutes=number(body.labour_min, 0)))
        if body.high_voltage:
            said.append(speech("plan_high_voltage"))
        return " · ".join(said)

    def _say(self, phrase: Phrase) -> str:
        return phrase.zh if self._speech.language == "zh" else phrase.en

    def _good(self, phrase: Phrase, good: Phrase | None) -> str:
        return f"{self._say(phrase)} → {self._say(good)}" if good else self._say(phrase)

    def _hypothesis(self, hypothesis: Hypothesis) -> str:
        said = []
        for name, value in hypothesis.evidence.items():
            if value is not None:
                signal = catalogue().get(name)
                unit = signal.unit if signal else ""
                figure, unit = quantity(self._speech, name, unit, value)
                said.append(f"{signal_title(name)[self._speech.language]} {figure} {unit}".rstrip())
        return f"{self._say(hypothesis)} ({', '.join(said)})" if said else self._say(hypothesis)

    def _case_buttons(self, case: DiagnosisCaseDetail) -> None:
        speech, key = self._speech, case.case_id
        if CaseStep.TRIAGE in case.next_steps and case.drivable is None:
            for name, drivable in (("triage_drivable", True), ("triage_stop", False)):
                facts = CaseFacts(drivable=drivable)
                button(speech(name), self._mover(key, CaseStep.TRIAGE, facts), "small strong")
        plan = case.plan
        if plan and not plan.approved_by and CaseStep.PLAN in case.next_steps:
            version = plan.version
            button(speech("plan_approve"), lambda: self._approve(key, version), "small strong")
        if case.work_order is None:
            button(speech("order_request"), lambda: self._request(key), "small strong")
        for step in CASE_BUTTONS:
            if step in case.next_steps:
                button(speech(f"diagnosis_step_{step}"), self._asker(key, step), "small quiet")

    def _mover(self, key: uuid.UUID, step: CaseStep, facts: CaseFacts) -> Callable[[], object]:
        return lambda: self._move_case(key, step, "", facts)

    def _asker(self, key: uuid.UUID, step: CaseStep) -> Callable[[], None]:
        """Ask for the reason, then take the step."""
        return lambda: self._ask(key, step)

    def _ask(self, key: uuid.UUID, step: CaseStep) -> None:
        def answer(_: list[str], reason: str) -> None:
            self._move_case(key, step, reason, CaseFacts())

        title = self._speech(f"diagnosis_step_{step}")
        ask(self._speech, title, [], answer, reason_needed=True)

    def _order(self, order: WorkOrderBody) -> None:
        speech = self._speech
        with box("div", "order"):
            words("span", "tag", speech(f"order_{order.state}"))
            words("span", "headline", speech("order"))
            lane = speech("order_priority") if order.priority_lane else ""
            words("span", "who", " · ".join(filter(None, (order.owner, lane))))
        with box("div", "steps"):
            for step in order.next_steps:
                if step in QUICK:
                    made = self._order_mover(order.work_order_id, step)
                    button(speech(f"order_step_{step}"), made, "small quiet")

    def _order_mover(self, key: uuid.UUID, step: OrderStep) -> Callable[[], object]:
        return lambda: self._move_order(key, step)

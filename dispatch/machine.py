"""A state machine as one table: every step there is; whatever is not listed is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from model.errors import TransitionError

State = TypeVar("State", bound=StrEnum)
Verb = TypeVar("Verb", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Machine(Generic[State, Verb]):
    """`first` says why something begins in a state; in `last` states nothing is left to do."""

    noun: str
    first: Mapping[State, str]
    last: frozenset[State]
    table: Mapping[tuple[State, Verb], State]

    def after(self, state: State, verb: Verb, why: str = "") -> State:
        """The state a step leads to.

        Raises TransitionError when the table has no such step, or with the objection `why`.
        """
        target = self.table.get((state, verb))
        if target is None or why:
            why = why if target is not None else ""
            raise TransitionError(noun=self.noun, state=state, step=verb, why=why)
        return target

    def allows(self, state: State) -> list[Verb]:
        """The steps that may be taken in a state, in the order of the table."""
        return [verb for before, verb in self.table if before is state]

    def leading_to(self, state: State, target: State) -> Verb:
        """The step from one state to another, for outside systems that tell states, not steps.

        Raises TransitionError when there is none.
        """
        for (before, verb), after in self.table.items():
            if before is state and after is target:
                return verb
        raise TransitionError(noun=self.noun, state=state, step=f"become {target}")

    def diagram(self) -> str:
        """The table as a Mermaid state diagram; steps between the same states share an arrow."""
        arrows: dict[tuple[State, State], list[str]] = {}
        for (before, verb), after in self.table.items():
            arrows.setdefault((before, after), []).append(verb)
        lines = [f"    [*] --> {state}: {why}" for state, why in self.first.items()]
        lines += [f"    {a} --> {b}: {', '.join(verbs)}" for (a, b), verbs in arrows.items()]
        lines += [f"    {state} --> [*]" for state in sorted(self.last)]
        return "\n".join(["stateDiagram-v2", *lines]) + "\n"

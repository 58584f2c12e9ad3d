"""One person's course through virtual time: an agenda of steps, assumed events and what was sent, in order.

Steps run through ``engine.interpreter``, as for real runs; the records of ``engine.runner`` are objects here.
"""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from castcomm.common.clock import VirtualClock
from notifications.services.simulating.outbox import SimulatedOutbox
from notifications.vocabulary import Channel
from workflows.definition import Place, first_place
from workflows.engine import interpreter
from workflows.engine.interpreter import FIRST_RETRY, LONGEST_RETRY, Transition
from workflows.engine.ports import Origin, Person
from workflows.engine.values import ExecutionValues, named_results
from workflows.models import ExecutionStatus, Reentry, StepStatus
from workflows.simulation.assumptions import (
    CLICKED,
    OPENED,
    AssumedAnswer,
    AssumedChange,
    AssumedEvent,
    Assumptions,
)
from workflows.simulation.effects import ListedEffects
from workflows.simulation.runs import SimulatedRun, SimulatedStep
from workflows.simulation.world import World
from workflows.steps.base import StepContext

MAX_TRIES = 2_000  # of steps, for one person: a definition that never comes to rest ends here
_CHANGES, _EVENTS, _SENDS, _STEPS = range(4)  # what comes first when several things happen at one moment


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to the person because it was assumed, and what it set off."""

    at: dt.datetime
    what: str
    name: str
    data: Mapping[str, Any]
    effect: str = ""


class Course:
    """The simulation of one person. ``play`` it once; then ``runs``, ``happenings`` and ``outbox`` tell the story."""

    def __init__(
        self,
        world: World,
        person: Person,
        assumptions: Assumptions,
        *,
        start: dt.datetime,
        until: dt.datetime,
        rendering: bool = False,
    ) -> None:
        self.world = world
        self.person = person
        self.assumptions = assumptions
        self.start = start
        self.until = until
        self.clock = VirtualClock(start)
        self.outbox = SimulatedOutbox(world.surroundings, person.id, start=start, rendering=rendering)
        self.effects = ListedEffects(self.clock, self.outbox, self.set_attributes)
        self.effects.answer = self._answer
        self.effects.variants = {**world.variants.get(person.id, {}), **assumptions.variants}
        self.runs: list[SimulatedRun] = []
        self.happenings: list[Happening] = []
        self.tries = 0
        self._place: Place | None = None
        self._agenda: list[tuple[dt.datetime, int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def play(self, data: Mapping[str, Any], *, event: str = "") -> Course:
        """Start a run with ``data`` and let the time pass."""
        self._plan_assumptions()
        self._begin_run(data, event)
        while (moment := self._next()) is not None and moment <= self.until and self.tries < MAX_TRIES:
            self.clock.advance_to(moment)
            if self._agenda and self._agenda[0][:2] <= (moment, _SENDS):
                self._take()()
            elif self._outbox_is_due(moment):
                self.outbox.settle_due(moment)
                self._plan_opens()
            else:
                self._take()()
        if self.tries >= MAX_TRIES:
            self._give_up()
        return self

    def _next(self) -> dt.datetime | None:
        moments = [self._agenda[0][0]] if self._agenda else []
        due = self.outbox.next_due()
        return min([*moments, due] if due is not None else moments, default=None)

    def _outbox_is_due(self, moment: dt.datetime) -> bool:
        due = self.outbox.next_due()
        return due is not None and due <= moment

    def _take(self) -> Callable[[], None]:
        return heapq.heappop(self._agenda)[3]

    def _at(self, moment: dt.datetime, rank: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (max(moment, self.clock.now()), rank, next(self._numbers), act))

    def _plan_assumptions(self) -> None:
        for change in self.assumptions.attributes:
            self._at(self.start + change.after, _CHANGES, partial(self._change, change))
        for event in self.assumptions.events:
            self._at(self.start + event.after, _EVENTS, partial(self._happen, event))

    def _plan_opens(self) -> None:
        """What went out by mail is opened and clicked as long after as is assumed."""
        for notification, delivery in self.outbox.take_gone():
            message = notification.message
            data = {
                "notification": str(notification.id),
                "channel": delivery.channel,
                "event_type": message.event_type.key,
                "template": message.template.key if message.template is not None else "",
            }
            for event, after in ((OPENED, self.assumptions.opened), (CLICKED, self.assumptions.clicked)):
                if after is not None and delivery.channel == Channel.EMAIL:
                    due = self.clock.now() + after
                    assumed = AssumedEvent(after=due - self.start, event=event, data=data)
                    self._at(due, _EVENTS, partial(self._happen, assumed))

    def _change(self, change: AssumedChange) -> None:
        self.set_attributes(change.changes)
        self.happenings.append(Happening(self.clock.now(), "attributes", "", change.changes))

    def set_attributes(self, changes: Mapping[str, Any]) -> None:
        """What expressions and templates see of the person from now on; None takes an attribute away."""
        merged = {**self.person.attributes, **changes}
        attributes = {name: value for name, value in merged.items() if value is not None}
        self.person = replace(self.person, attributes=attributes)
        self.outbox.know_attributes(attributes)

    def _happen(self, event: AssumedEvent) -> None:
        effect = ""
        definition = self.world.definition
        if event.event in definition.get("cancelOn", ()):
            effect = self._cancel(event.event)
        self.effects.report(event.event, event.data)
        self._wake()
        if event.event == definition.get("triggerEvent"):
            refused = self._refusal()
            effect = refused or "It started another run."
            if not refused:
                self._begin_run(event.data, event.event)
        self.happenings.append(Happening(self.clock.now(), "event", event.event, event.data, effect))

    def _wake(self) -> None:
        woken = self.effects.take_woken()
        for run in self.runs if woken else ():
            for step in run.steps:
                if step.id in woken and step.status == StepStatus.WAITING:
                    step.due_at = woken[step.id]
                    self._wait(run, step)

    def _cancel(self, event: str) -> str:
        running = [run for run in self.runs if run.status == ExecutionStatus.RUNNING]
        for run in running:
            for step in run.steps:
                if step.status == StepStatus.WAITING:
                    step.status, step.finished_at = StepStatus.SKIPPED, self.clock.now()
            self._end(run, ExecutionStatus.CANCELLED, f"The event {event!r} came.")
        return f"It ended {len(running)} running run{'s' if len(running) != 1 else ''}." if running else ""

    def _refusal(self) -> str:
        """Why the person may not start another run, or empty."""
        if self.world.reentry == Reentry.ONCE and self.runs:
            return "It started no run: the workflow is for once only."
        still = any(run.status == ExecutionStatus.RUNNING for run in self.runs)
        if self.world.reentry == Reentry.ONE_AT_A_TIME and still:
            return "It started no run: the person is still going through the workflow."
        return ""

    def _begin_run(self, data: Mapping[str, Any], event: str) -> None:
        run_id = uuid.uuid5(self.person.id, f"{self.start.isoformat()} {len(self.runs)}")
        run = SimulatedRun(id=run_id, data=data, started_at=self.clock.now(), event=event)
        self.runs.append(run)
        self._begin_step(run, first_place(self.world.definition))

    def _begin_step(self, run: SimulatedRun, place: Place) -> None:
        step_id = uuid.uuid5(run.id, str(len(run.steps)))
        step = SimulatedStep(id=step_id, place=place, due_at=self.clock.now())
        run.steps.append(step)
        self._wait(run, step)

    def _wait(self, run: SimulatedRun, step: SimulatedStep) -> None:
        due_at = step.due_at

        def act() -> None:
            # It may have been woken, or ended, meanwhile.
            if step.status == StepStatus.WAITING and step.due_at == due_at:
                self._run_step(run, step)

        self._at(due_at, _STEPS, act)

    def _run_step(self, run: SimulatedRun, step: SimulatedStep) -> None:
        self.tries += 1
        step.attempts += 1
        step.started_at = step.started_at or self.clock.now()
        self._place = step.place
        transition = self._transition(run, step)
        step.sends += self.effects.take_sent()
        self._plan_opens()
        self._record(run, step, transition)

    def _answer(self) -> AssumedAnswer:
        """What is assumed to be answered to the step that is being run."""
        return self.assumptions.answer_for(*((self._place.path, self._place.id) if self._place else ()))

    def _transition(self, run: SimulatedRun, step: SimulatedStep) -> Transition:
        try:
            return interpreter.run_step(self.world.definition, step.place, self._context(run, step))
        except Exception as error:
            transition = interpreter.after_error(
                error, place=step.place, attempts=step.attempts, now=self.clock.now(), earlier=step.result
            )
        if transition.retried:
            # Real pauses are random up to this length: here the same simulation tells the same twice.
            pause = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** (step.attempts - 1))
            transition = replace(transition, due_at=self.clock.now() + dt.timedelta(seconds=pause))
        return transition

    def _context(self, run: SimulatedRun, step: SimulatedStep) -> StepContext:
        definition = self.world.definition
        return StepContext(
            clock=self.clock,
            origin=Origin(
                organization_id=self.person.organization.id,
                user_id=self.person.id,
                workflow_id=self.world.workflow.id if self.world.workflow else run.id,
                execution_id=run.id,
                step_run_id=step.id,
                scope=step.place.id or step.place.path,
                started_at=run.started_at,
            ),
            person=self.person,
            data=run.data,
            values=ExecutionValues(
                data=run.data, person=self.person, results=lambda: named_results(definition, run.results())
            ),
            effects=self.effects,
            key=f"workflow:{step.id}",
            time_scale=1.0,
            earlier=step.result,
            critical=bool(definition.get("critical")),
        )

    def _record(self, run: SimulatedRun, step: SimulatedStep, transition: Transition) -> None:
        step.status, step.result, step.error = transition.status, transition.result, transition.error
        if transition.saves:
            run.data = {**run.data, **transition.saves}
        if transition.due_at is not None:
            step.due_at = transition.due_at
            step.attempts = step.attempts if transition.retried else 0
            self._wait(run, step)
        else:
            step.finished_at = self.clock.now()
        if transition.follows is not None:
            self._begin_step(run, transition.follows)
        elif transition.ends is not None:
            self._end(run, transition.ends, transition.reason)
        self._wake()

    def _end(self, run: SimulatedRun, status: ExecutionStatus, reason: str) -> None:
        run.status, run.reason, run.finished_at = status, reason, self.clock.now()

    def _give_up(self) -> None:
        for run in self.runs:
            if run.status == ExecutionStatus.RUNNING:
                self._end(run, ExecutionStatus.FAILED, f"It was given up after {MAX_TRIES} tries of steps.")

"""Several executions in one transaction: locked, led on in memory, written in three statements.

A step costs a few microseconds of its own; what used to cost was a transaction with ten statements around each. Steps
that are due at once, one after the other, are run in the same transaction too. Everything in it happens or nothing: a
batch in which one step fails is rolled back, and its steps are run one by one (``careful``), so that each fails alone.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from django.db import transaction

from accounts.services.users import merge_attributes
from castcomm.common import sql
from castcomm.common.clock import Clock
from castcomm.common.ids import new_id
from workflows.definition import Place, place_at
from workflows.engine import interpreter, rows
from workflows.engine.claims import Claim
from workflows.engine.interpreter import MAX_DEATHS, Transition
from workflows.engine.ports import Origin, PeopleReader, Person, TransactionEffects
from workflows.engine.values import ExecutionValues, named_results
from workflows.engine.versions import definition_of
from workflows.models import StepStatus
from workflows.steps.base import StepContext

Who = tuple[uuid.UUID, uuid.UUID]
CHAIN = 50  # steps of one execution in one transaction


@dataclass(slots=True)
class StepState:
    """A step run as it is in memory; ``is_new`` says that its row is not written yet."""

    id: uuid.UUID
    place: Place
    position: int
    due_at: dt.datetime
    started_at: dt.datetime | None = None
    attempts: int = 0
    deaths: int = 0
    status: str = StepStatus.WAITING.value
    result: Mapping[str, Any] | None = None
    error: str = ""
    notification_id: uuid.UUID | None = None
    finished_at: dt.datetime | None = None
    is_new: bool = True


@dataclass(slots=True)
class RunState:
    """An execution with its steps of this transaction; ``ended`` is set when it came to its end.

    ``has_new_data`` says that ``data`` is to be written.
    """

    id: uuid.UUID
    organization_id: uuid.UUID
    user_id: uuid.UUID
    workflow_id: uuid.UUID
    definition: Mapping[str, Any]
    data: Mapping[str, Any]
    started_at: dt.datetime
    is_paused: bool
    steps: list[StepState] = field(default_factory=list)
    ended: Transition | None = None
    has_new_data: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Leads executions on. ``careful``: each step in a savepoint, whose error is the step's own."""

    clock: Clock
    people: PeopleReader
    effects: TransactionEffects
    time_scale: float
    careful: bool = False

    def run(self, claimed: Sequence[Claim], *, may_go_on: Callable[[], bool] = lambda: True) -> int:
        """Run the claimed steps and what follows at once, while ``may_go_on`` says so; returns how many steps ran.

        Claims that were lost meanwhile, by a cancel or to another worker, are left alone.
        """
        with transaction.atomic():
            runs = [_run_of(row) for row in rows.lock(claimed)]
            paused = rows.lock_paused({run.workflow_id for run in runs if run.is_paused})
            for run in runs:
                run.is_paused = run.workflow_id in paused
            # Rows of people are locked in one order by all who send.
            runs.sort(key=lambda run: run.user_id)
            people: dict[Who, Person | None] = dict(
                self.people.find_all([(run.user_id, run.organization_id) for run in runs])
            )
            together = [] if self.careful else [one for one in people.values() if one is not None]
            self.effects.begin(together)
            for run in runs:
                whose = (run.user_id, run.organization_id)
                people[whose] = self._lead_on(run, people.get(whose), may_go_on)
            self._write(runs)
            self.effects.finish()
        return sum(len([step for step in run.steps if step.attempts]) for run in runs)

    def _lead_on(self, run: RunState, person: Person | None, may_go_on: Callable[[], bool]) -> Person | None:
        """Run the execution's steps; returns the person as the last one left them."""
        step = run.steps[0]
        if run.is_paused:
            step.status, step.attempts = StepStatus.PAUSED.value, 0
            return person
        # Who has killed a worker before is alone with what it does.
        left = 1 if step.deaths else CHAIN
        while True:
            transition = self._transition(run, step, person)
            self._apply(step, transition)
            if transition.saves:
                run.data, run.has_new_data = {**run.data, **transition.saves}, True
            if transition.attributes and person is not None:
                person = replace(
                    person, attributes=merge_attributes(person.attributes, transition.attributes)
                )
            run.ended = transition if transition.ends is not None else None
            if transition.follows is None:
                return person
            step = self._next(run, step, transition.follows)
            left -= 1
            if not left or not may_go_on():
                return person
            step.attempts, step.started_at = 1, self.clock.now()

    def _next(self, run: RunState, step: StepState, place: Place) -> StepState:
        following = StepState(id=new_id(), place=place, position=step.position + 1, due_at=self.clock.now())
        run.steps.append(following)
        return following

    def _transition(self, run: RunState, step: StepState, person: Person | None) -> Transition:
        if step.deaths >= MAX_DEATHS:
            return interpreter.after_deaths(place=step.place, deaths=step.deaths)
        if person is None:
            return interpreter.after_departure()
        context = self._context(run, step, person)
        if not self.careful:
            return interpreter.run_step(run.definition, step.place, context)
        try:
            with transaction.atomic():
                return interpreter.run_step(run.definition, step.place, context)
        except Exception as error:
            return interpreter.after_error(
                error,
                place=step.place,
                attempts=step.attempts,
                now=self.clock.now(),
                earlier=step.result,
            )

    def _context(self, run: RunState, step: StepState, person: Person) -> StepContext:
        return StepContext(
            clock=self.clock,
            origin=_origin(run, step),
            person=person,
            data=run.data,
            values=ExecutionValues(data=run.data, person=person, results=lambda: _results_of(run)),
            effects=self.effects,
            key=f"workflow:{step.id}",
            time_scale=self.time_scale,
            earlier=step.result,
            critical=bool(run.definition.get("critical")),
        )

    def _apply(self, step: StepState, transition: Transition) -> None:
        step.status, step.result, step.error = (
            transition.status.value,
            transition.result,
            transition.error[:2000],
        )
        step.notification_id = transition.notification_id
        if transition.due_at is not None:
            step.due_at = transition.due_at
            step.deaths = 0
            step.attempts = step.attempts if transition.retried else 0
        else:
            step.finished_at = self.clock.now()

    def _write(self, runs: Sequence[RunState]) -> None:
        now = self.clock.now()
        rows.update_steps([step for run in runs for step in run.steps if not step.is_new])
        rows.insert_steps([(run, step) for run in runs for step in run.steps if step.is_new], now=now)
        rows.keep_data([(run.id, run.data) for run in runs if run.has_new_data])
        rows.end_executions([(run.id, run.ended) for run in runs if run.ended is not None], now=now)


def _run_of(row: Sequence[Any]) -> RunState:
    """The state of a row of ``rows.lock``, with the claimed step in it."""
    run = RunState(
        id=row[0],
        organization_id=row[1],
        user_id=row[2],
        workflow_id=row[3],
        definition=definition_of(row[4]),
        data=orjson.loads(row[5]),
        started_at=row[6],
        is_paused=row[7],
    )
    result = orjson.loads(row[14]) if row[14] is not None else None
    run.steps = [
        StepState(
            id=row[8],
            place=place_at(run.definition, row[10]),
            position=row[9],
            due_at=row[11],
            attempts=row[12],
            deaths=row[13],
            result=result,
            is_new=False,
        )
    ]
    return run


_DONE = """
SELECT path, result::text FROM workflows_steprun WHERE execution_id = %s AND status = 'done' ORDER BY position
"""


def _results_of(run: RunState) -> dict[str, Any]:
    """What earlier steps recorded, those of this transaction as well."""
    found = {path: orjson.loads(text) for path, text in sql.run(_DONE, (run.id,)) if text is not None}
    found |= {step.place.path: step.result for step in run.steps if step.status == StepStatus.DONE.value}
    return named_results(run.definition, found)


def _origin(run: RunState, step: StepState) -> Origin:
    return Origin(
        organization_id=run.organization_id,
        user_id=run.user_id,
        workflow_id=run.workflow_id,
        execution_id=run.id,
        step_run_id=step.id,
        scope=step.place.id or step.place.path,
        started_at=run.started_at,
    )

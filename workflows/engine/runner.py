"""The loop: claim due steps, run each, record what came of it together with what follows.

A step's effects, its result and the next step's row are one transaction. A process that is killed leaves
either all of it or nothing, and the lease brings the step back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import InterfaceError, OperationalError, transaction

from castcomm.common.clock import Clock
from workflows.definition import Place, place_at
from workflows.engine import claims, interpreter
from workflows.engine.claims import Claim
from workflows.engine.interpreter import MAX_DEATHS, Transition
from workflows.engine.ports import Origin, PeopleReader, TransactionEffects
from workflows.engine.values import ExecutionValues, named_results
from workflows.engine.versions import definition_of
from workflows.models import Execution, ExecutionStatus, StepRun, StepStatus
from workflows.steps.base import StepContext

log = structlog.get_logger(__name__)
_RECORDED = [
    "status", "result", "error", "notification", "lease_until", "lease_token", "due_at", "deaths", "attempts",
    "finished_at",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Runs executions on what it is handed; ``time_scale`` divides delays."""

    clock: Clock
    people: PeopleReader
    effects: TransactionEffects
    time_scale: float = 1.0
    batch: int = claims.BATCH

    def run_due(self, *, budget: float = 20.0) -> int:
        """Run what is due, and what becomes due on the way, for at most ``budget`` seconds; returns how many."""
        deadline = time.monotonic() + budget
        claims.recover_lost_steps(now=self.clock.now())
        ran = 0
        while time.monotonic() < deadline:
            now = self.clock.now()
            claimed = claims.claim_due_steps(now=now, limit=self.batch) + claims.claim_suspect(now=now)
            if not claimed:
                break
            ran += self._run_batch(claimed, deadline)
        return ran

    def _run_batch(self, claimed: list[Claim], deadline: float) -> int:
        for position, claim in enumerate(claimed):
            # Half a lease must be left, so that a step is not taken for lost while it runs.
            late = self.clock.now() > claim.until - claims.LEASE / 2
            if late or time.monotonic() >= deadline:
                _release(claimed[position:])
                return position
            try:
                self._run_claimed(claim)
            except (OperationalError, InterfaceError):
                # The database is away. The leases bring back what was claimed.
                raise
            except Exception as error:
                # What cannot even be recorded must not hold up the others; its lease counts it as a death.
                log.error("workflow.step_not_recorded", step_run_id=str(claim.step_run_id), exc_info=error)
        return len(claimed)

    def _run_claimed(self, claim: Claim) -> None:
        with transaction.atomic():
            # The execution is locked before its steps, here and where it is cancelled.
            execution = Execution.objects.select_for_update(no_key=True).filter(id=claim.execution_id).first()
            step_run = StepRun.objects.select_for_update(no_key=True).filter(id=claim.step_run_id).first()
            if execution is None or step_run is None or not _still_ours(step_run, claim):
                return
            definition = definition_of(execution.version_id)
            place = place_at(definition, step_run.path)
            self.effects.begin()
            transition = self._transition(execution, step_run, definition, place)
            self._record(execution, step_run, transition)
            self.effects.finish()

    def _transition(
        self, execution: Execution, step_run: StepRun, definition: Mapping[str, Any], place: Place
    ) -> Transition:
        if step_run.deaths >= MAX_DEATHS:
            return interpreter.after_deaths(place=place, deaths=step_run.deaths)
        try:
            with transaction.atomic():
                person = self.people.find(
                    user_id=execution.user_id, organization_id=execution.organization_id
                )
                if person is None:
                    return interpreter.after_departure()
                values = ExecutionValues(
                    data=execution.data, person=person, results=_results_of(execution, definition)
                )
                context = StepContext(
                    clock=self.clock,
                    origin=_origin(execution, step_run, place),
                    person=person,
                    data=execution.data,
                    values=values,
                    effects=self.effects,
                    key=f"workflow:{step_run.id}",
                    time_scale=self.time_scale,
                    earlier=step_run.result,
                    critical=bool(definition.get("critical")),
                )
                return interpreter.run_step(definition, place, context)
        except Exception as error:
            return interpreter.after_error(
                error,
                place=place,
                attempts=step_run.attempts,
                now=self.clock.now(),
                earlier=step_run.result,
            )

    def _record(self, execution: Execution, step_run: StepRun, transition: Transition) -> None:
        now = self.clock.now()
        step_run.status = transition.status
        step_run.result = dict(transition.result) if transition.result is not None else None
        step_run.error = transition.error[:2000]
        step_run.notification_id = transition.notification_id
        step_run.lease_until = step_run.lease_token = None
        if transition.due_at is not None:
            step_run.due_at = transition.due_at
            step_run.deaths = 0
            step_run.attempts = step_run.attempts if transition.retried else 0
        else:
            step_run.finished_at = now
        step_run.save(update_fields=_RECORDED)
        if transition.follows is not None:
            begin_step(execution, transition.follows, position=step_run.position + 1, clock=self.clock)
        elif transition.ends is not None:
            end_execution(execution, transition.ends, reason=transition.reason, clock=self.clock)


def begin_step(execution: Execution, place: Place, *, position: int, clock: Clock) -> StepRun:
    """Write the row that makes ``place`` due now; part of the caller's transaction."""
    made: StepRun = StepRun.objects.create(
        organization_id=execution.organization_id,
        execution=execution,
        position=position,
        path=place.path,
        step_type=place.type,
        input=dict(place.step),
        due_at=clock.now(),
    )
    return made


def end_execution(execution: Execution, status: ExecutionStatus, *, reason: str, clock: Clock) -> None:
    """Record that ``execution``, locked by the caller, has ended."""
    execution.status = status
    execution.reason = reason
    execution.finished_at = clock.now()
    execution.save(update_fields=["status", "reason", "finished_at"])
    log.info("workflow.ended", execution_id=str(execution.id), status=status.value, reason=reason)


def _results_of(execution: Execution, definition: Mapping[str, Any]) -> Callable[[], Mapping[str, Any]]:
    def read() -> Mapping[str, Any]:
        rows = StepRun.objects.filter(execution=execution, status=StepStatus.DONE).order_by("position")
        return named_results(definition, dict(rows.values_list("path", "result")))

    return read


def _origin(execution: Execution, step_run: StepRun, place: Place) -> Origin:
    return Origin(
        organization_id=execution.organization_id,
        user_id=execution.user_id,
        workflow_id=execution.workflow_id,
        execution_id=execution.id,
        step_run_id=step_run.id,
        scope=place.id or place.path,
        started_at=execution.started_at,
    )


def _still_ours(step_run: StepRun, claim: Claim) -> bool:
    # Cancelled, erased, or lost to another worker after the lease: then it is not ours to run.
    return step_run.status == StepStatus.RUNNING and step_run.lease_token == claim.token


def _release(claimed: list[Claim]) -> None:
    for token in {claim.token for claim in claimed}:
        claims.release_steps([claim for claim in claimed if claim.token == token])

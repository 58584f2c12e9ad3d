"""The loop: claim due steps, run each, record what came of it together with what follows.

A step's effects, its result and the next step's row are one transaction. A process that is killed leaves
either all of it or nothing, and the lease brings the step back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db import InterfaceError, OperationalError
from psycopg.errors import DeadlockDetected, SerializationFailure

from castcomm.common.clock import Clock
from workflows.definition import Place
from workflows.engine import claims
from workflows.engine.batches import Batch
from workflows.engine.claims import Claim
from workflows.engine.ports import PeopleReader, TransactionEffects
from workflows.models import Execution, ExecutionStatus, StepRun
from workflows.steps.base import step_types

log = structlog.get_logger(__name__)


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
        """Run what was claimed in one transaction, or one by one where that fails."""
        healthy = [claim for claim in claimed if not claim.is_suspect]
        suspects = [claim for claim in claimed if claim.is_suspect]
        ran = self._together(healthy, deadline)
        if ran is None:
            ran = self._one_by_one(healthy, deadline)
        return ran + self._one_by_one(suspects, deadline)

    def _together(self, claimed: list[Claim], deadline: float) -> int | None:
        """How many steps ran; None when nothing happened, because one of them has to fail alone."""
        if len(claimed) < 2:
            return None
        try:
            return self._batch(careful=False).run(claimed, may_go_on=self._within(claimed, deadline))
        except (OperationalError, InterfaceError) as error:
            if isinstance(error.__cause__, DeadlockDetected | SerializationFailure):
                return None
            # The database is away. The leases bring back what was claimed.
            raise
        except Exception as error:
            log.warning("workflow.batch_undone", error=f"{type(error).__name__}: {error}")
            return None

    def _one_by_one(self, claimed: list[Claim], deadline: float) -> int:
        ran = 0
        for position, claim in enumerate(claimed):
            within = self._within([claim], deadline)
            if not within():
                _release(claimed[position:])
                return ran
            try:
                ran += self._batch(careful=True).run([claim], may_go_on=within)
            except (OperationalError, InterfaceError):
                raise
            except Exception as error:
                # What cannot even be recorded must not hold up the others; its lease counts it as a death.
                log.error("workflow.step_not_recorded", step_run_id=str(claim.step_run_id), exc_info=error)
        return ran

    def _batch(self, *, careful: bool) -> Batch:
        return Batch(
            clock=self.clock,
            people=self.people,
            effects=self.effects,
            time_scale=self.time_scale,
            careful=careful,
        )

    def _within(self, claimed: list[Claim], deadline: float) -> Callable[[], bool]:
        """Half a lease must be left, so that a step is not taken for lost while it runs."""
        until = min(claim.until for claim in claimed) - claims.LEASE / 2
        return lambda: self.clock.now() <= until and time.monotonic() < deadline


def begin_step(execution: Execution, place: Place, *, position: int, clock: Clock) -> StepRun:
    """Write the row that makes ``place`` due now; part of the caller's transaction."""
    made: StepRun = StepRun.objects.create(
        organization_id=execution.organization_id,
        execution=execution,
        position=position,
        path=place.path,
        step_type=place.type,
        input=step_types.get(place.type).recorded(place.step),
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


def _release(claimed: list[Claim]) -> None:
    for token in {claim.token for claim in claimed}:
        claims.release_steps([claim for claim in claimed if claim.token == token])

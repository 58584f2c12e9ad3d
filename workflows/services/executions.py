"""Stopping executions, and giving a failed step another chance."""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass

from django.db import transaction

from accounts.models import Organization, User
from castcomm.common.clock import SystemClock
from castcomm.common.errors import Conflict
from workflows import doorbell
from workflows.definition import all_places
from workflows.engine.runner import end_execution
from workflows.engine.versions import definition_of
from workflows.models import Execution, ExecutionStatus, StepRun, StepStatus
from workflows.services.inputs import check_key

_OPEN = (StepStatus.WAITING, StepStatus.PAUSED, StepStatus.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """What a cancel really stopped. Steps are named by their paths.

    ``stopped`` were under way or asleep, ``never_begun`` had not been reached, ``done`` cannot be undone;
    ``notifications`` had been handed over for delivery before.
    """

    execution: Execution
    stopped: list[str]
    never_begun: list[str]
    done: list[str]
    notifications: list[uuid.UUID]


def cancel_execution(*, execution: Execution, reason: str = "") -> Cancelled:
    """End a running execution; a step that is being run at this moment is finished first.

    Raises Conflict when it has ended already.
    """
    with transaction.atomic():
        execution = Execution.objects.select_for_update(no_key=True).get(id=execution.id)
        if execution.status != ExecutionStatus.RUNNING:
            ended = ExecutionStatus(execution.status).label.lower()
            raise Conflict(f"This execution has ended already: {ended}.", code="already_ended")
        clock = SystemClock()
        steps = list(StepRun.objects.select_for_update(no_key=True).filter(execution=execution))
        stopped = [step for step in steps if step.status in _OPEN]
        StepRun.objects.filter(id__in=[step.id for step in stopped]).update(
            status=StepStatus.SKIPPED, finished_at=clock.now(), lease_until=None, lease_token=None
        )
        end_execution(
            execution, ExecutionStatus.CANCELLED, reason=reason[:500] or "It was cancelled.", clock=clock
        )
    reached = {step.path for step in steps}
    return Cancelled(
        execution=execution,
        stopped=[step.path for step in stopped],
        never_begun=[
            place.path
            for place in all_places(definition_of(execution.version_id))
            if place.path not in reached
        ],
        done=[step.path for step in steps if step.status == StepStatus.DONE],
        notifications=[step.notification_id for step in steps if step.notification_id is not None],
    )


def cancel_by_key(*, organization: Organization, cancellation_key: str) -> list[Cancelled]:
    """Cancel every running execution that was started with this key; the list may be empty."""
    key = check_key(cancellation_key, attr="cancellation_key")
    if not key:
        return []
    running = Execution.objects.for_organization(organization).filter(
        cancellation_key=key, status=ExecutionStatus.RUNNING
    )
    with transaction.atomic():
        return [cancel_execution(execution=execution) for execution in running.order_by("id")]


def cancel_on_event(*, organization: Organization, user: User, event: str) -> list[Execution]:
    """Cancel the person's running executions whose definition names ``event`` in ``cancelOn``."""
    running = Execution.objects.for_organization(organization).filter(
        user=user, status=ExecutionStatus.RUNNING
    )
    concerned = [
        execution
        for execution in running.order_by("id")
        if event in definition_of(execution.version_id).get("cancelOn", ())
    ]
    return [_cancel(execution, f"The event {event!r} came.") for execution in concerned]


def _cancel(execution: Execution, reason: str) -> Execution:
    with contextlib.suppress(Conflict):  # it ended at this moment
        return cancel_execution(execution=execution, reason=reason).execution
    return execution


def retry_execution(*, execution: Execution) -> StepRun:
    """Let a failed execution go on with the step that failed; raises Conflict when none did."""
    with transaction.atomic():
        execution = Execution.objects.select_for_update(no_key=True).get(id=execution.id)
        step_run: StepRun | None = (
            StepRun.objects.select_for_update(no_key=True)
            .filter(execution=execution, status__in=[StepStatus.FAILED, StepStatus.DEAD])
            .order_by("-position")
            .first()
        )
        if execution.status != ExecutionStatus.FAILED or step_run is None:
            raise Conflict("Only a failed execution can be tried again.", code="not_failed")
        execution.status, execution.reason, execution.finished_at = ExecutionStatus.RUNNING, "", None
        execution.save(update_fields=["status", "reason", "finished_at"])
        step_run.status, step_run.attempts, step_run.deaths = StepStatus.WAITING, 0, 0
        step_run.due_at, step_run.finished_at, step_run.error = SystemClock().now(), None, ""
        step_run.save()
        doorbell.ring_on_commit()
    return step_run

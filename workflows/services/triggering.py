"""Starting executions: by an event, or by the workflow's name."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import IntegrityError, connection, transaction

from accounts.models import Organization, User
from accounts.selectors import get_membership
from castcomm.common.clock import SystemClock
from castcomm.common.errors import CastCommError, Conflict, InvalidInput
from notifications.selectors import event_notifies
from notifications.services.sending import SendResult, send_notification
from workflows import doorbell
from workflows.definition import first_place
from workflows.engine import awaiting
from workflows.engine.runner import begin_step
from workflows.models import Execution, ExecutionStatus, Reentry, Workflow
from workflows.selectors import workflows_started_by
from workflows.services.executions import cancel_on_event
from workflows.services.inputs import check_data, check_event, check_key

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedEvent:
    """What an event set off. ``refused`` maps the key of a workflow that did not start to the reason.

    ``woken`` counts the runs that had waited for it, ``cancelled`` are those that it ended.
    """

    executions: list[Execution]
    woken: int = 0
    cancelled: list[Execution] = field(default_factory=list)
    notification: SendResult | None = None
    refused: Mapping[str, str] = field(default_factory=dict)


def trigger_event(
    *,
    organization: Organization,
    event: str,
    user: User,
    data: Mapping[str, Any] | None = None,
    idempotency_key: str = "",
) -> list[Execution]:
    """Report an event and return the executions that it started (see ``report_event``)."""
    reported = report_event(
        organization=organization, event=event, user=user, data=data, idempotency_key=idempotency_key
    )
    return reported.executions


def report_event(
    *,
    organization: Organization,
    event: str,
    user: User,
    data: Mapping[str, Any] | None = None,
    idempotency_key: str = "",
    source: str = "event",
) -> ReportedEvent:
    """Start every active workflow that listens to ``event``, for ``user``, in one transaction.

    Runs of the person whose workflow is cancelled on the event end, those that wait for it go on. The event is
    recorded.

    When the event type of the same key is marked to notify on event, its notification is sent too. The same
    ``idempotency_key`` starts each workflow once. Raises InvalidInput (``user`` is no active member, data).
    """
    check_event(event)
    checked, key = check_data(data), check_key(idempotency_key, attr="idempotency_key")
    _check_member(user, organization)
    executions: list[Execution] = []
    refused: dict[str, str] = {}
    with transaction.atomic():
        cancelled = cancel_on_event(organization=organization, user=user, event=event)
        woken = awaiting.record(
            organization_id=organization.id,
            user_id=user.id,
            event=event,
            data=checked,
            source=source,
            idempotency_key=key,
            now=SystemClock().now(),
        )
        if woken:
            doorbell.ring_on_commit()
        notification = _notify(organization, event, user, checked, key)
        for workflow in workflows_started_by(organization=organization, event=event):
            try:
                executions.append(_start(workflow, user, checked, key=key, event=event, source=source))
            except Conflict as error:
                refused[workflow.key] = error.message
    log.info("workflow.event", workflow_event=event, started=len(executions), refused=sorted(refused))
    return ReportedEvent(
        executions=executions, woken=woken, cancelled=cancelled, notification=notification, refused=refused
    )


def trigger_workflow(
    *,
    organization: Organization,
    workflow: str,
    user: User,
    data: Mapping[str, Any] | None = None,
    idempotency_key: str = "",
    cancellation_key: str = "",
    source: str = "python",
) -> Execution:
    """Start the workflow with the key ``workflow`` for ``user``.

    The same ``idempotency_key`` returns the execution that it started before. Raises InvalidInput with the
    field's name, and Conflict when the workflow is off, unpublished, or may not be entered again.
    """
    checked, key = check_data(data), check_key(idempotency_key, attr="idempotency_key")
    check_key(cancellation_key, attr="cancellation_key")
    found: Workflow | None = (
        Workflow.objects.for_organization(organization)
        .filter(key=workflow)
        .select_related("current_version")
        .first()
    )
    if found is None:
        raise InvalidInput(f"There is no workflow {workflow!r}.", attr="workflow", code="unknown_workflow")
    if not found.is_active:
        raise Conflict(f"The workflow {workflow!r} is switched off.", code="inactive")
    if found.current_version is None:
        raise Conflict(f"The workflow {workflow!r} is not published.", code="not_published")
    _check_member(user, organization)
    with transaction.atomic():
        return _start(found, user, checked, key=key, cancellation_key=cancellation_key, source=source)


def _check_member(user: User, organization: Organization) -> None:
    if get_membership(user, organization) is None:
        raise InvalidInput(
            "This person is no active member of the organization.", attr="user", code="unknown_user"
        )


def _notify(
    organization: Organization, event: str, user: User, data: dict[str, Any], key: str
) -> SendResult | None:
    if not event_notifies(organization, event):
        return None
    try:
        with transaction.atomic():
            return send_notification(
                organization=organization,
                recipients=[user],
                event_type=event,
                data=data,
                idempotency_key=f"event:{event}:{user.id}:{key}"[:255] if key else "",
                source="event",
            )
    except CastCommError as error:
        # The event has happened whatever its notification lacks; the workflows must not suffer from it.
        log.warning("workflow.event_not_notified", workflow_event=event, error=error.message)
        return None


def _start(
    workflow: Workflow,
    user: User,
    data: dict[str, Any],
    *,
    key: str,
    source: str,
    event: str = "",
    cancellation_key: str = "",
) -> Execution:
    """Write the execution and its first step; part of the caller's transaction."""
    version = workflow.current_version
    assert version is not None
    earlier = _find(workflow, key)
    if earlier is not None:
        return earlier
    _check_reentry(workflow, user)
    clock = SystemClock()
    execution = Execution(
        organization_id=workflow.organization_id,
        workflow=workflow,
        version=version,
        user=user,
        data=data,
        event=event,
        source=source,
        cancellation_key=cancellation_key,
        idempotency_key=key,
        started_at=clock.now(),
    )
    try:
        with transaction.atomic():
            execution.save(force_insert=True)
    except IntegrityError:
        # Another call with the same key was faster.
        earlier = _find(workflow, key)
        if earlier is None:
            raise
        return earlier
    begin_step(execution, first_place(version.definition), position=0, clock=clock)
    doorbell.ring_on_commit()
    return execution


def _find(workflow: Workflow, key: str) -> Execution | None:
    if not key:
        return None
    found: Execution | None = Execution.objects.filter(workflow=workflow, idempotency_key=key).first()
    return found


def _check_reentry(workflow: Workflow, user: User) -> None:
    if workflow.reentry == Reentry.ALWAYS:
        return
    # Two calls at once for the same person must see each other.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_lock_number(workflow.id, user.id)])
    earlier = Execution.objects.filter(workflow=workflow, user=user)
    if workflow.reentry == Reentry.ONCE and earlier.exists():
        raise Conflict("The person has been through this workflow, which is for once only.", code="reentry")
    if earlier.filter(status=ExecutionStatus.RUNNING).exists():
        raise Conflict("The person is still going through this workflow.", code="reentry")


def _lock_number(workflow_id: uuid.UUID, user_id: uuid.UUID) -> int:
    # 63 bits of both ids; a collision only makes two unrelated calls wait for each other.
    return (workflow_id.int ^ (user_id.int >> 1)) & (2**63 - 1)

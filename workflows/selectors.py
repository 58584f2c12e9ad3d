"""Questions about workflows and their runs. Nothing here writes."""

from __future__ import annotations

import uuid
from collections.abc import Container, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet

from accounts.models import Organization, User
from accounts.selectors import members_of
from castcomm.common.ids import parse_id
from notifications.services.explaining.told import ToldDelivery, deliveries_told
from workflows.definition import all_places
from workflows.engine.versions import definition_of
from workflows.models import Execution, StepRun, Workflow
from workflows.timelines import NOT_REACHED, Decided, TimelineSend, TimelineStep


def workflows_started_by(*, organization: Organization, event: str) -> list[Workflow]:
    """The active, published workflows that listen to ``event``, with their current versions."""
    return list(
        Workflow.objects.for_organization(organization)
        .filter(trigger_event=event, is_active=True, current_version__isnull=False)
        .exclude(trigger_event="")
        .select_related("current_version")
        .order_by("key")
    )


def executions_of(organization: Organization) -> QuerySet[Execution]:
    """The executions of an organization with what their lists show."""
    found: QuerySet[Execution] = Execution.objects.for_organization(organization).select_related(
        "workflow", "version", "user"
    )
    return found.defer("workflow__definition", "version__definition")


def find_member(organization: Organization, named: str) -> User | None:
    """The active member with this id or e-mail address, or None."""
    identifier = parse_id(named)
    wanted = {"user_id": identifier} if identifier else {"user__email": named.strip().lower()}
    membership = members_of(organization).filter(**wanted).first()
    return membership.user if membership is not None else None


def timeline_of(execution: Execution) -> list[TimelineStep]:
    """Each step of the run in order, followed by the steps that were not reached."""
    step_runs = list(StepRun.objects.filter(execution=execution).order_by("position"))
    sends = _sends_of([one.notification_id for one in step_runs if one.notification_id is not None])
    ran = [_ran(one, sends.get(one.notification_id, ())) for one in step_runs]
    return ran + not_reached(definition_of(execution.version_id), {step.path for step in ran})


def timelines_of(executions: Sequence[Execution]) -> dict[uuid.UUID, list[TimelineStep]]:
    """What each of these runs did, without its sends and without what it did not reach, read with one query."""
    made: dict[uuid.UUID, list[TimelineStep]] = {execution.id: [] for execution in executions}
    for step_run in StepRun.objects.filter(execution__in=list(made)).order_by("execution_id", "position"):
        made[step_run.execution_id].append(_ran(step_run, ()))
    return made


def not_reached(definition: Mapping[str, Any], reached: Container[str]) -> list[TimelineStep]:
    """The steps of a definition but for those whose paths were ``reached``."""
    return [
        TimelineStep(
            path=place.path,
            type=place.type,
            name=place.step.get("name", ""),
            status=NOT_REACHED,
            input=place.step,
        )
        for place in all_places(definition)
        if place.path not in reached
    ]


def _ran(step_run: StepRun, sends: Sequence[TimelineSend]) -> TimelineStep:
    return TimelineStep(
        path=step_run.path,
        type=step_run.step_type,
        name=step_run.input.get("name", ""),
        status=step_run.status,
        input=step_run.input,
        due_at=step_run.due_at,
        started_at=step_run.started_at,
        finished_at=step_run.finished_at,
        attempts=step_run.attempts,
        result=step_run.result,
        error=step_run.error,
        notification_id=step_run.notification_id,
        sends=sends,
    )


def _sends_of(notification_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID | None, list[TimelineSend]]:
    """What became of these notifications on each channel."""
    made: dict[uuid.UUID | None, list[TimelineSend]] = {}
    if notification_ids:
        for one in deliveries_told(notification_ids):
            made.setdefault(one.notification_id, []).append(_send(one))
    return made


def _send(told: ToldDelivery) -> TimelineSend:
    return TimelineSend(
        channel=told.channel,
        status=told.status,
        reason=told.reason,
        decisions=[
            Decided(at=one.at, action=one.action, reason=one.reason, until=one.until, sentence=one.sentence)
            for one in told.decisions
        ],
        left_at=told.left_at,
        error=told.error,
    )

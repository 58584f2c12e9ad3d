"""Questions about workflows and their runs. Nothing here writes."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from accounts.models import Organization, User
from accounts.selectors import members_of
from castcomm.common.ids import parse_id
from workflows.definition import all_places
from workflows.engine.versions import definition_of
from workflows.models import Execution, StepRun, Workflow

NOT_REACHED = "not_reached"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineStep:
    """One step as a reader wants it: what ran, and what the definition still has to come.

    ``status`` is that of the step run, or ``not_reached``. ``due_at`` matters while it waits.
    """

    path: str
    type: str
    name: str
    status: str
    input: Mapping[str, Any]
    due_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None
    attempts: int = 0
    result: Mapping[str, Any] | None = None
    error: str = ""
    notification_id: uuid.UUID | None = None


def timeline_of(execution: Execution) -> list[TimelineStep]:
    """Each step of the run in order, followed by the steps that were not reached."""
    ran = [_ran(step_run) for step_run in StepRun.objects.filter(execution=execution).order_by("position")]
    reached = {step.path for step in ran}
    coming = [
        TimelineStep(
            path=place.path,
            type=place.type,
            name=place.step.get("name", ""),
            status=NOT_REACHED,
            input=place.step,
        )
        for place in all_places(definition_of(execution.version_id))
        if place.path not in reached
    ]
    return ran + coming


def _ran(step_run: StepRun) -> TimelineStep:
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
    )

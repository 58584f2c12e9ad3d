"""What becomes of the executions under way when another version is published."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from workflows.definition import Place
from workflows.definition.comparing import match_places
from workflows.engine.versions import definition_of
from workflows.models import Execution, ExecutionStatus, StepRun, StepStatus, Workflow, WorkflowVersion
from workflows.services.executions import cancel_execution

OPEN = (StepStatus.WAITING, StepStatus.PAUSED, StepStatus.RUNNING)
_AT_ONCE = 500


class Running(models.TextChoices):
    """The choice for the executions that are under way."""

    PIN = "pin", "They stay on the version they began with"
    MIGRATE = "migrate", "They go on in the new version"
    CANCEL = "cancel", "They are cancelled"


class Unmapped(models.TextChoices):
    """The choice for those whose step the new version does not have, when the others migrate."""

    STAY = "stay", "They stay on their version"
    CANCEL = "cancel", "They are cancelled"


@dataclass(frozen=True, slots=True)
class Moved:
    """How many executions; ``unmapped`` counts, by path, the steps that the new version does not have."""

    migrated: int = 0
    cancelled: int = 0
    stayed: int = 0
    unmapped: Mapping[str, int] = field(default_factory=dict)


def move_running(
    *,
    workflow: Workflow,
    version: WorkflowVersion,
    running: Running = Running.PIN,
    unmapped: Unmapped = Unmapped.STAY,
) -> Moved:
    """Do to the executions of other versions what was chosen; part of the caller's transaction.

    An execution is locked before it is moved, so that a worker finishes the step that it has begun first. A step that
    sleeps keeps the moment it sleeps until.
    """
    if running == Running.PIN:
        return Moved(stayed=_others(workflow, version).count())
    migrated = cancelled = stayed = 0
    missing: dict[str, int] = {}
    for execution in _locked(workflow, version):
        lost = [] if running == Running.CANCEL else _migrate(execution, version)
        for path in lost:
            missing[path] = missing.get(path, 0) + 1
        if running == Running.CANCEL or (lost and unmapped == Unmapped.CANCEL):
            cancel_execution(execution=execution, reason=f"Version {version.number} was published.")
            cancelled += 1
        elif lost:
            stayed += 1
        else:
            migrated += 1
    return Moved(migrated, cancelled, stayed, missing)


def _others(workflow: Workflow, version: WorkflowVersion) -> models.QuerySet[Execution]:
    return Execution.objects.filter(workflow=workflow, status=ExecutionStatus.RUNNING).exclude(
        version=version
    )


def _locked(workflow: Workflow, version: WorkflowVersion) -> Iterator[Execution]:
    """Each execution of another version, locked, in the order of their ids; some hundred at a time."""
    last = uuid.UUID(int=0)
    while True:
        rows = _others(workflow, version).filter(id__gt=last).order_by("id")
        batch = list(rows.select_for_update(no_key=True)[:_AT_ONCE])
        if not batch:
            return
        yield from batch
        last = batch[-1].id


def _migrate(execution: Execution, version: WorkflowVersion) -> list[str]:
    """Move an execution; returns the paths of its open steps that have no place there, and moves nothing then."""
    places = match_places(definition_of(execution.version_id), version.definition)
    steps = list(StepRun.objects.select_for_update(no_key=True).filter(execution=execution, status__in=OPEN))
    lost = [step.path for step in steps if step.path not in places]
    if lost:
        return lost
    for step in steps:
        _put(step, places[step.path])
    execution.version = version
    execution.save(update_fields=["version"])
    return []


def _put(step: StepRun, place: Place) -> None:
    step.path, step.input = place.path, dict(place.step)
    step.save(update_fields=["path", "input"])


def waiting_by_step(workflow: Workflow) -> list[dict[str, Any]]:
    """How many executions are at which step of which version.

    Each with ``version``, ``version_id``, ``path``, ``type`` and ``count``.
    """
    rows = (
        StepRun.objects.filter(
            execution__workflow=workflow, execution__status=ExecutionStatus.RUNNING, status__in=OPEN
        )
        .values("execution__version", "execution__version__number", "path", "step_type")
        .annotate(count=models.Count("id"))
        .order_by("execution__version__number", "path")
    )
    return [
        {
            "version": row["execution__version__number"],
            "version_id": row["execution__version"],
            "path": row["path"],
            "type": row["step_type"],
            "count": row["count"],
        }
        for row in rows
    ]

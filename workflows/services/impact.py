"""What publishing a draft would change, before it is done. Reads only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from castcomm.common.clock import now as current_time
from workflows.definition import check_references, validate_definition
from workflows.definition.comparing import compare, match_places
from workflows.engine.versions import definition_of
from workflows.errors import DefinitionInvalid, Problem
from workflows.models import RecordedEvent, Workflow
from workflows.services.moving import waiting_by_step
from workflows.services.publishing import OrganizationCatalog

DAYS = 30


def impact_of(workflow: Workflow) -> dict[str, Any]:
    """What would follow from publishing the draft now.

    ``problems`` are what would refuse it; ``steps`` what happens to the steps; ``running`` says for each step at which
    executions are, how many, and at which path they would go on if they migrate (null: the draft has no such step);
    ``reached`` counts the events and people of the last 30 days that would have started it.
    """
    current = workflow.current_version
    problems = _problems(workflow)
    readable = not any(one.path == "" for one in problems)
    before = current.definition if current is not None else {"steps": []}
    return {
        "problems": [{"path": one.path, "message": one.message} for one in problems],
        "is_changed": current is None or current.definition != workflow.definition,
        "steps": compare(before, workflow.definition) if readable else [],
        "running": _running(workflow) if readable else [],
        "reached": reached_by(workflow, workflow.definition if readable else {}),
    }


def reached_by(workflow: Workflow, definition: Mapping[str, Any]) -> dict[str, Any]:
    """Whom the definition's trigger would have reached with the events as they were reported."""
    since = current_time() - dt.timedelta(days=DAYS)
    event = definition.get("triggerEvent", "")
    found = {"event": event, "days": DAYS, "events": 0, "people": 0, "since": since}
    if event:
        rows = RecordedEvent.objects.for_organization(workflow.organization_id).filter(
            event=event, created_at__gte=since
        )
        found |= {"events": rows.count(), "people": rows.values("user").distinct().count()}
    return found


def _problems(workflow: Workflow) -> tuple[Problem, ...]:
    try:
        validate_definition(workflow.definition)
        check_references(workflow.definition, OrganizationCatalog(workflow.organization_id))
    except DefinitionInvalid as error:
        return error.problems
    return ()


def _running(workflow: Workflow) -> list[dict[str, Any]]:
    rows = waiting_by_step(workflow)
    places = {
        version: match_places(definition_of(version), workflow.definition)
        for version in {row["version_id"] for row in rows}
    }
    told = []
    for row in rows:
        place = places[row.pop("version_id")].get(row["path"])
        told.append({**row, "goes_on_at": place.path if place is not None else None})
    return told

"""From draft to version."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.models import User
from castcomm.common.clock import now
from castcomm.common.errors import NotFound
from notifications.services.catalog import catalog_of
from workflows.definition import check_references, validate_definition
from workflows.models import Workflow, WorkflowVersion
from workflows.services.moving import Moved, Running, Unmapped, move_running
from workflows.services.schedules import write_schedule


@dataclass(frozen=True, slots=True)
class OrganizationCatalog:
    """What an organization's workflows may refer to, as it is now."""

    organization_id: uuid.UUID

    def has_template(self, key: str) -> bool:
        """Whether a template with this key is published."""
        template = catalog_of(self.organization_id).templates.get(key)
        return template is not None and bool(template.contents)

    def has_event_type(self, key: str) -> bool:
        """Whether there is an active event type with this key."""
        event_type = catalog_of(self.organization_id).event_types.get(key)
        return event_type is not None and event_type.is_active

    def variables_of(self, template: str) -> Mapping[str, Mapping[str, Any]]:
        """What the template with this key declares."""
        found = catalog_of(self.organization_id).templates.get(template)
        return found.variables if found is not None else {}


def publish_workflow(*, workflow: Workflow, published_by: User | None = None) -> WorkflowVersion:
    """Make the draft the version that new executions run; those under way stay on theirs.

    Publishing an unchanged draft returns the version that is current. Raises DefinitionInvalid, also for
    templates and event types that are not there.
    """
    return publish_and_move(workflow=workflow, published_by=published_by).version


@dataclass(frozen=True, slots=True)
class Publication:
    """The version that runs now, whether it was made by this call, and what became of the executions under way."""

    version: WorkflowVersion
    is_new: bool
    moved: Moved


def publish_and_move(
    *,
    workflow: Workflow,
    published_by: User | None = None,
    running: Running = Running.PIN,
    unmapped: Unmapped = Unmapped.STAY,
) -> Publication:
    """Publish the draft and do to the executions under way what was chosen, all of it or nothing.

    Raises DefinitionInvalid, also for templates and event types that are not there and for what does not fit.
    """
    with transaction.atomic():
        workflow = _lock(workflow)
        version, is_new = _publish(workflow, published_by)
        moved = move_running(workflow=workflow, version=version, running=running, unmapped=unmapped)
    return Publication(version, is_new, moved)


def roll_back(
    *,
    workflow: Workflow,
    number: int,
    published_by: User | None = None,
    running: Running = Running.PIN,
    unmapped: Unmapped = Unmapped.STAY,
) -> Publication:
    """Publish an earlier version's definition again, as a new version; the draft becomes it, too.

    Raises NotFound, and DefinitionInvalid when what it relies on is no longer there.
    """
    with transaction.atomic():
        workflow = _lock(workflow)
        workflow.definition = version_of(workflow, number).definition
        workflow.name = workflow.definition["name"]
        workflow.updated_at = now()
        workflow.save(update_fields=["definition", "name", "updated_at"])
        return publish_and_move(
            workflow=workflow, published_by=published_by, running=running, unmapped=unmapped
        )


def version_of(workflow: Workflow, number: int) -> WorkflowVersion:
    """The version with this number; raises NotFound."""
    found: WorkflowVersion | None = WorkflowVersion.objects.filter(workflow=workflow, number=number).first()
    if found is None:
        raise NotFound("There is no such version.")
    return found


def _lock(workflow: Workflow) -> Workflow:
    locked: Workflow = (
        Workflow.objects.select_for_update(of=("self",)).select_related("current_version").get(id=workflow.id)
    )
    return locked


def _publish(workflow: Workflow, published_by: User | None) -> tuple[WorkflowVersion, bool]:
    """The version of the draft of a locked workflow, and whether it is new."""
    definition = validate_definition(workflow.definition)
    check_references(definition, OrganizationCatalog(workflow.organization_id))
    current: WorkflowVersion | None = workflow.current_version
    if current is not None and current.definition == definition:
        return current, False
    latest = workflow.versions.values_list("number", flat=True).first() or 0
    version = WorkflowVersion.objects.create(
        workflow=workflow,
        number=latest + 1,
        definition=definition,
        published_at=now(),
        published_by=published_by,
    )
    workflow.current_version = version
    workflow.trigger_event = definition.get("triggerEvent", "")
    workflow.save(update_fields=["current_version", "trigger_event"])
    write_schedule(workflow)
    return version, True

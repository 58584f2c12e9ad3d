"""Making and changing workflows. What staff edit is the draft; publishing makes it run."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from accounts.models import Organization
from castcomm.common.clock import now
from castcomm.common.errors import Conflict, InvalidInput
from workflows.definition import validate_definition
from workflows.errors import DefinitionInvalid, Problem
from workflows.models import Reentry, Workflow


def create_workflow(
    *, organization: Organization, definition: Any, reentry: str = Reentry.ALWAYS, is_active: bool = True
) -> Workflow:
    """Make a workflow whose key is the definition's ``type``; nothing runs until it is published.

    Raises DefinitionInvalid (paths into the definition), and Conflict when the key is taken.
    """
    checked = validate_definition(definition)
    workflow = Workflow(
        organization=organization,
        key=checked["type"],
        name=checked["name"],
        definition=checked,
        reentry=check_reentry(reentry),
        is_active=is_active,
    )
    try:
        with transaction.atomic():
            workflow.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(
            f"There is a workflow of the type {workflow.key!r} already.", attr="type", code="key_taken"
        ) from error
    return workflow


def update_workflow(
    *,
    workflow: Workflow,
    definition: Any = None,
    reentry: str | None = None,
    is_active: bool | None = None,
) -> Workflow:
    """Change the draft and the switches that are given; raises DefinitionInvalid and InvalidInput."""
    with transaction.atomic():
        workflow = Workflow.objects.select_for_update().get(id=workflow.id)
        if definition is not None:
            checked = validate_definition(definition)
            check_key_kept(workflow, checked)
            workflow.definition, workflow.name = checked, checked["name"]
        if reentry is not None:
            workflow.reentry = check_reentry(reentry)
        if is_active is not None:
            workflow.is_active = is_active
        workflow.updated_at = now()
        workflow.save()
    return workflow


def delete_workflow(*, workflow: Workflow) -> None:
    """Remove a workflow that has never run; raises Conflict when there is a record to keep."""
    with transaction.atomic():
        locked = Workflow.objects.select_for_update().get(id=workflow.id)
        if locked.executions.exists():
            raise Conflict(
                "This workflow has run, and its record is kept. Switch it off instead.",
                code="workflow_has_run",
            )
        locked.delete()


def check_key_kept(workflow: Workflow, definition: dict[str, Any]) -> None:
    """Raises DefinitionInvalid when the definition belongs to another workflow."""
    if definition["type"] != workflow.key:
        problem = Problem("type", f"The type names the workflow and stays {workflow.key!r}.")
        raise DefinitionInvalid([problem])


def check_reentry(reentry: str) -> str:
    """Raises InvalidInput for an unknown rule."""
    if reentry not in Reentry.values:
        raise InvalidInput(f"This must be one of {', '.join(Reentry.values)}.", attr="reentry")
    return reentry

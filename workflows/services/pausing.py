"""Letting a whole workflow stand still, and go on."""

from __future__ import annotations

from django.db import transaction

from castcomm.common.clock import SystemClock
from castcomm.common.errors import Conflict
from workflows import doorbell
from workflows.models import StepRun, StepStatus, Workflow


def pause_workflow(*, workflow: Workflow) -> Workflow:
    """No step of the workflow begins from now on; steps that become due are put aside. Runs may still be started.

    Raises Conflict when it is paused already.
    """
    with transaction.atomic():
        locked: Workflow = Workflow.objects.select_for_update().get(id=workflow.id)
        if locked.paused_at is not None:
            raise Conflict("This workflow is paused already.", code="already_paused")
        locked.paused_at = SystemClock().now()
        locked.save(update_fields=["paused_at"])
    return locked


def resume_workflow(*, workflow: Workflow) -> int:
    """What was put aside becomes due; returns how many steps. Raises Conflict when the workflow is not paused."""
    with transaction.atomic():
        # Waits for workers that are putting steps aside, so that none is forgotten.
        locked: Workflow = Workflow.objects.select_for_update().get(id=workflow.id)
        if locked.paused_at is None:
            raise Conflict("This workflow is not paused.", code="not_paused")
        locked.paused_at = None
        locked.save(update_fields=["paused_at"])
        parked = StepRun.objects.filter(status=StepStatus.PAUSED, execution__workflow=locked)
        count: int = parked.update(status=StepStatus.WAITING)
        doorbell.ring_on_commit()
    return count

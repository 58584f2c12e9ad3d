"""Workflows that start for many people: by the clock, or because staff say so."""

from __future__ import annotations

from django.db import models

from castcomm.common.models import TenantModel
from workflows.models.workflows import Workflow


class WorkflowSchedule(TenantModel):
    """When a published workflow with a schedule starts next, and for whom it starts then."""

    workflow = models.OneToOneField(Workflow, on_delete=models.CASCADE, related_name="schedule")
    cron = models.CharField(max_length=100)
    time_zone = models.CharField(max_length=64)
    audience = models.CharField(max_length=1000)
    next_at = models.DateTimeField()
    last_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["next_at"], name="workflow_schedule_due")]

    def __str__(self) -> str:
        return f"{self.cron} ({self.time_zone})"


class MassStart(TenantModel):
    """One start for many people: those in ``users``, or all members for whom ``audience`` is true.

    ``occurrence`` names it within its workflow, so that it is made once. Workers lead it on in chunks; ``cursor`` is
    the last person who was looked at. ``looked_at`` counts people, ``started`` the runs; the rest were refused.
    """

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="mass_starts")
    source = models.CharField(max_length=40)
    occurrence = models.CharField(max_length=100)
    audience = models.CharField(max_length=1000, blank=True)
    users = models.JSONField(null=True)
    data = models.JSONField(default=dict)
    cursor = models.UUIDField(null=True)
    looked_at = models.PositiveIntegerField(default=0)
    started = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workflow", "occurrence"], name="mass_start_once"),
        ]
        indexes = [
            models.Index(
                fields=["created_at"], condition=models.Q(finished_at=None), name="mass_start_under_way"
            ),
        ]

    def __str__(self) -> str:
        return self.occurrence

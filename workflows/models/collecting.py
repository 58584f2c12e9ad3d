"""What steps keep between runs: digest windows, awaited events, the events themselves, experiments."""

from __future__ import annotations

from django.db import models

from castcomm.common.models import TenantModel
from workflows.models.executions import Execution, StepRun
from workflows.models.workflows import Workflow


class DigestWindow(TenantModel):
    """Runs of one person that are collected under one ``key``; at most one is open.

    The run that opened it, ``execution``, goes on with everything when it closes; the others have ended.
    ``scope`` is the step's id, or its path when it has none.
    """

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    scope = models.CharField(max_length=200)
    key = models.CharField(max_length=255, blank=True)
    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="digest_windows")
    step_run = models.ForeignKey(StepRun, on_delete=models.CASCADE, related_name="+")
    opened_at = models.DateTimeField()
    closes_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    count = models.PositiveIntegerField(default=0)
    size = models.PositiveIntegerField(default=0, help_text="Bytes of its items as JSON.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "user", "scope", "key"],
                condition=models.Q(closed_at=None),
                name="digest_window_open_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["workflow", "user", "scope", "key", "-opened_at"], name="digest_window_last"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.key}".strip()


class DigestItem(TenantModel):
    """What one run brought into a window: its data."""

    window = models.ForeignKey(DigestWindow, on_delete=models.CASCADE, related_name="items")
    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="+")
    data = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["window", "execution"], name="digest_item_once"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class RecordedEvent(TenantModel):
    """An event as it was reported, kept for a while: steps look back at it, and drafts are tried on it."""

    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    event = models.CharField(max_length=100)
    data = models.JSONField(default=dict)
    source = models.CharField(max_length=40)
    idempotency_key = models.CharField(max_length=255, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["organization", "event", "created_at"], name="recorded_event_by_name"),
            models.Index(
                fields=["organization", "user", "event", "created_at"], name="recorded_event_of_person"
            ),
        ]

    def __str__(self) -> str:
        return self.event


class EventSubscription(TenantModel):
    """A step that waits for an event. It is open until the event comes or the step has waited long enough."""

    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="event_subscriptions")
    step_run = models.OneToOneField(StepRun, on_delete=models.CASCADE, related_name="event_subscription")
    event = models.CharField(max_length=100)
    match = models.TextField(blank=True)
    closed_at = models.DateTimeField(null=True)
    data = models.JSONField(null=True, help_text="The event's data, when it has come.")

    class Meta:
        indexes = [
            models.Index(
                fields=["organization", "user", "event"],
                condition=models.Q(closed_at=None),
                name="event_subscription_open",
            ),
        ]

    def __str__(self) -> str:
        return self.event


class ExperimentAssignment(TenantModel):
    """Which variant of an experiment a person is in; it never changes. ``holdout`` is the group without any."""

    experiment = models.CharField(max_length=100)
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    variant = models.CharField(max_length=100)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="+")
    execution = models.ForeignKey(Execution, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "experiment", "user"], name="experiment_assignment_once"
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "experiment", "variant"], name="experiment_assignment_by"),
        ]

    def __str__(self) -> str:
        return f"{self.experiment}: {self.variant}"

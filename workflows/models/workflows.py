"""What an organization wants to happen: a draft that staff edit, and versions that run."""

from __future__ import annotations

from typing import Any

from django.db import models

from castcomm.common.clock import now
from castcomm.common.models import BaseModel, TenantModel
from workflows.fields import WrittenJSONField


class Reentry(models.TextChoices):
    """Whether a person may go through a workflow again."""

    ALWAYS = "always", "Always, even while an earlier run goes on"
    ONE_AT_A_TIME = "one_at_a_time", "Again, but one run at a time"
    ONCE = "once", "Once and never again"


class Workflow(TenantModel):
    """A workflow and its draft. ``key`` and ``name`` are the definition's ``type`` and ``name``.

    ``trigger_event`` is the event that starts the *published* version; empty starts it by name only.
    """

    key = models.CharField(max_length=100, editable=False)
    name = models.CharField(max_length=200, editable=False)
    trigger_event = models.CharField(max_length=100, blank=True, editable=False)
    definition = WrittenJSONField(
        help_text="The draft, as JSON. Runs use the version that was published last."
    )
    reentry = models.CharField(
        max_length=13,
        choices=Reentry,
        default=Reentry.ALWAYS,
        help_text="Whether the same person may go through it again.",
    )
    is_active = models.BooleanField(
        default=True, help_text="Switched off, it starts no more runs; those that go on are finished."
    )
    paused_at = models.DateTimeField(
        null=True, editable=False, help_text="Since when its runs stand still; empty while they go on."
    )
    current_version = models.ForeignKey(
        "workflows.WorkflowVersion", on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    updated_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["organization", "key"], name="workflow_key_once")]
        indexes = [
            models.Index(
                fields=["organization", "trigger_event"],
                condition=models.Q(is_active=True) & ~models.Q(trigger_event=""),
                name="workflow_listening",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class WorkflowVersion(BaseModel):
    """A definition as it was published. It never changes: executions stay on the version they began with."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    definition = WrittenJSONField()
    published_at = models.DateTimeField(default=now)
    published_by = models.ForeignKey("accounts.User", on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["workflow", "number"], name="workflow_version_once")]

    def __str__(self) -> str:
        return f"version {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("A published version never changes; publish another one.")
        super().save(*args, **kwargs)

"""What happened: one person going through one version of a workflow, step by step."""

from __future__ import annotations

from django.db import models

from castcomm.common.models import TenantModel
from workflows.models.workflows import Workflow, WorkflowVersion


class ExecutionStatus(models.TextChoices):
    RUNNING = "running", "Running"
    COMPLETED = "completed", "Completed"
    STOPPED = "stopped", "Stopped by a step"
    DIGESTED = "digested", "Collected into another run"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class Execution(TenantModel):
    """One run, pinned to ``version``. ``reason`` says why it ended, when it did not simply come to its end."""

    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="executions")
    version = models.ForeignKey(WorkflowVersion, on_delete=models.PROTECT, related_name="executions")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="workflow_executions")
    data = models.JSONField(default=dict)
    status = models.CharField(max_length=9, choices=ExecutionStatus, default=ExecutionStatus.RUNNING)
    reason = models.TextField(blank=True)
    event = models.CharField(
        max_length=100, blank=True, help_text="The event that started it; empty when it was started by name."
    )
    source = models.CharField(max_length=40, help_text="Who asked: event, api, command, admin, python.")
    cancellation_key = models.CharField(max_length=255, blank=True)
    idempotency_key = models.CharField(max_length=255, blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["workflow", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
                name="execution_once",
            ),
        ]
        indexes = [
            models.Index(fields=["organization", "-created_at", "-id"], name="execution_recent"),
            models.Index(fields=["workflow", "user"], name="execution_of_person"),
            models.Index(
                fields=["organization", "user"],
                condition=models.Q(status="running"),
                name="execution_under_way",
            ),
            models.Index(
                fields=["organization", "cancellation_key"],
                condition=models.Q(status="running") & ~models.Q(cancellation_key=""),
                name="execution_cancellable",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class StepStatus(models.TextChoices):
    WAITING = "waiting", "Waiting"
    PAUSED = "paused", "Due, but the workflow is paused"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    SKIPPED = "skipped", "Skipped"
    FAILED = "failed", "Failed"
    DEAD = "dead", "Dead letter"


class StepRun(TenantModel):
    """One step of one run: its record, and the row that workers claim.

    ``path`` says where the step stands in the definition (``3``), ``position`` its place in the order of
    running. A worker that has it holds ``lease_token`` until ``lease_until``; each lease that ran out counts
    in ``deaths``. ``attempts`` counts tries since the step last went to sleep.
    """

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="step_runs")
    position = models.PositiveIntegerField()
    path = models.CharField(max_length=200)
    step_type = models.CharField(max_length=50)
    status = models.CharField(max_length=7, choices=StepStatus, default=StepStatus.WAITING)
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    deaths = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    input = models.JSONField(default=dict, help_text="The step as it stood in the definition.")
    result = models.JSONField(null=True)
    error = models.TextField(blank=True)
    notification = models.ForeignKey(
        "notifications.Notification", on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["execution", "position"], name="step_run_position_once"),
        ]
        indexes = [
            models.Index(
                fields=["organization", "due_at"],
                condition=models.Q(status="waiting", deaths=0),
                name="step_run_due",
            ),
            models.Index(fields=["execution"], condition=models.Q(status="paused"), name="step_run_paused"),
            models.Index(
                fields=["due_at"], condition=models.Q(status="waiting", deaths__gt=0), name="step_run_suspect"
            ),
            models.Index(
                fields=["lease_until"], condition=models.Q(status="running"), name="step_run_leases"
            ),
            models.Index(
                fields=["organization", "-created_at"],
                condition=models.Q(status__in=["failed", "dead"]),
                name="step_run_trouble",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.step_type} at {self.path}"

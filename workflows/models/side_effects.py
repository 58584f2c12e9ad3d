"""What steps leave behind for others: calls to make, and how many have passed."""

from __future__ import annotations

from django.db import models

from castcomm.common.fields import EncryptedTextField
from castcomm.common.models import TenantModel
from workflows.models.executions import StepRun


class CallStatus(models.TextChoices):
    PENDING = "pending", "To be made"
    RUNNING = "running", "Under way"
    DONE = "done", "Answered"
    FAILED = "failed", "Given up"
    UNKNOWN = "unknown", "Nobody knows whether it was acted on"


class HttpCall(TenantModel):
    """A call that a step asked for; its address, headers and body are forgotten when it has ended.

    A worker that has it holds ``lease_token`` until ``lease_until``. ``attempts`` counts tries. ``outcome`` has
    status, body and error.
    """

    step_run = models.OneToOneField(StepRun, on_delete=models.CASCADE, related_name="http_call")
    method = models.CharField(max_length=10)
    url = EncryptedTextField()
    headers = EncryptedTextField(help_text="JSON")
    body = EncryptedTextField()
    host = models.CharField(max_length=255)
    timeout = models.FloatField(help_text="Seconds.")
    retries = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=7, choices=CallStatus, default=CallStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True, editable=False)
    outcome = models.JSONField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(status="pending"), name="http_call_due"),
            models.Index(
                fields=["lease_until"], condition=models.Q(status="running"), name="http_call_leases"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.host}"


class ThrottlePass(TenantModel):
    """Somebody passed the throttle ``name`` at ``passed_at``; it need not be remembered after ``expires_at``."""

    name = models.CharField(max_length=500)
    passed_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["organization", "name", "passed_at"], name="throttle_recent"),
            models.Index(fields=["expires_at"], name="throttle_expired"),
        ]

    def __str__(self) -> str:
        return self.name

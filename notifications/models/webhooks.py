"""Outgoing webhooks: who listens, what there was to say, and how telling each of them went."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from castcomm.common.clock import now
from castcomm.common.fields import EncryptedTextField
from castcomm.common.models import BaseModel, TenantQuerySet


class WebhookKind(models.TextChoices):
    """In which form an endpoint is told."""

    STANDARD = "standard", "Standard Webhooks (signed JSON)"
    SLACK = "slack", "Slack (incoming webhook)"


class DisabledReason(models.TextChoices):
    """Why an endpoint is off."""

    BY_HAND = "by_hand", "Switched off by staff"
    GONE = "gone", "It answered 410 Gone"
    FAILING = "failing", "It failed for days without one success"


class WebhookStatus(models.TextChoices):
    """The life of one message on its way to one endpoint."""

    PENDING = "pending", "Pending"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


class WebhookRow(BaseModel):
    """A row of an organization, or of the deployment's own alerts, which belong to none."""

    organization = models.ForeignKey(
        "accounts.Organization", on_delete=models.CASCADE, null=True, related_name="+"
    )

    objects = TenantQuerySet.as_manager()

    class Meta:
        abstract = True


class WebhookEndpoint(WebhookRow):
    """Where an organization wants to be told of what happens.

    ``event_types`` are names or prefixes (``delivery.*``); an empty list means all. The URL is encrypted because it
    often carries a token, and Slack's is one. Without an organization it stands for one of the deployment's own alert
    addresses: ``setting`` names it, and URL and secret are read from the settings at the moment of sending.
    """

    setting = models.CharField(max_length=40, blank=True, editable=False)
    kind = models.CharField(max_length=10, choices=WebhookKind, default=WebhookKind.STANDARD)
    url = EncryptedTextField("URL", blank=True)
    description = models.CharField(max_length=200, blank=True)
    event_types = ArrayField(models.CharField(max_length=100), default=list, blank=True)
    include_address = models.BooleanField(
        default=False, help_text="Recipients' addresses and numbers are told, too."
    )
    secret = EncryptedTextField(blank=True, editable=False)
    previous_secret = EncryptedTextField(blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, editable=False)
    is_active = models.BooleanField(default=True)
    disabled_at = models.DateTimeField(null=True, editable=False)
    disabled_reason = models.CharField(max_length=10, choices=DisabledReason, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    last_failure_at = models.DateTimeField(null=True, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)
    resume_at = models.DateTimeField(
        null=True, editable=False, help_text="Its own Retry-After: nothing is sent before."
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["setting"], condition=~models.Q(setting=""), name="webhook_setting_once"
            ),
            models.CheckConstraint(
                condition=models.Q(organization=None) ^ models.Q(setting=""), name="webhook_owner"
            ),
        ]

    def __str__(self) -> str:
        return self.description or self.setting or f"Endpoint {str(self.id)[-8:]}"


class WebhookMessage(WebhookRow):
    """Something that happened. Its id is the ``webhook-id`` of every attempt to tell it.

    ``payload`` becomes ``data``. ``address`` is told only to endpoints that ask for it. The organization is empty when
    it concerns the whole deployment.
    """

    event_type = models.CharField(max_length=100)
    occurred_at = models.DateTimeField()
    payload = models.JSONField(default=dict)
    address = EncryptedTextField(blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["created_at"], name="webhook_message_age"),
            models.Index(
                fields=["event_type", "created_at"],
                condition=models.Q(event_type__startswith="alert."),
                name="webhook_alerts",
            ),
        ]

    def __str__(self) -> str:
        return self.event_type


class WebhookDelivery(WebhookRow):
    """A message for an endpoint: the outbox row that workers claim.

    ``due_at`` is when it may be tried. While a worker has it, ``lease_until`` says for how long and ``lease_token`` for
    whom; when the lease is over anybody may take it. The organization is the endpoint's.
    """

    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    message = models.ForeignKey(WebhookMessage, on_delete=models.CASCADE, related_name="deliveries")
    status = models.CharField(max_length=10, choices=WebhookStatus, default=WebhookStatus.PENDING)
    due_at = models.DateTimeField(default=now)
    lease_until = models.DateTimeField(null=True, editable=False)
    lease_token = models.UUIDField(null=True, editable=False)
    attempt_count = models.PositiveSmallIntegerField(default=0)
    attempts_forgiven = models.PositiveSmallIntegerField(
        default=0, help_text="Attempts made before it was replayed; the waits begin anew."
    )
    last_status_code = models.PositiveSmallIntegerField(null=True)
    last_detail = models.CharField(max_length=300, blank=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints = [models.UniqueConstraint(fields=["endpoint", "message"], name="webhook_delivery_once")]
        indexes = [
            models.Index(
                fields=["endpoint", "due_at"], condition=models.Q(status="pending"), name="webhook_due"
            ),
            models.Index(
                fields=["endpoint", "lease_until"],
                condition=models.Q(lease_until__isnull=False),
                name="webhook_leased",
            ),
            models.Index(fields=["endpoint", "-created_at"], name="webhook_log"),
        ]

    def __str__(self) -> str:
        return f"Delivery {str(self.id)[-8:]}"


class WebhookAttempt(BaseModel):
    """One call of an endpoint. Without ``finished_at`` the worker was lost in the middle."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    finished_at = models.DateTimeField(null=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    detail = models.CharField(max_length=300, blank=True)
    answer = models.TextField(blank=True, help_text="The first kilobyte.")
    elapsed_ms = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["number", "created_at"]

    def __str__(self) -> str:
        return f"attempt {self.number}"

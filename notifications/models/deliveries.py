"""The ledger: one delivery per notification and channel considered, and each attempt to perform it."""

from __future__ import annotations

from django.db import models

from castcomm.common.fields import EncryptedTextField
from castcomm.common.ids import new_id
from castcomm.common.models import TenantModel
from notifications.vocabulary import WAITING, Channel, DeliveryStatus, Outcome, Priority, Reason


class Delivery(TenantModel):
    """A notification on one channel. It is also the outbox row that workers claim.

    ``reason`` says why it is in its state; ``decision`` keeps what routing weighed. ``due_at`` is when it may go
    out. While a worker has it, ``status`` is ``sending``, ``lease_until`` says for how long and ``lease_token`` for
    whom. ``address`` is filled for bare addresses only: a user's address is looked up when it is sent.
    """

    # Hot tables name their indexes themselves: an index that nobody reads is paid for with every row.
    # This one is the notification's, written in the same statement.
    organization = models.ForeignKey(
        "accounts.Organization",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    notification = models.ForeignKey(
        "notifications.Notification", on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    channel = models.CharField(max_length=10, choices=Channel)
    priority = models.PositiveSmallIntegerField(choices=Priority)
    status = models.CharField(max_length=10, choices=DeliveryStatus, default=DeliveryStatus.PENDING)
    reason = models.CharField(max_length=20, choices=Reason, blank=True)
    decision = models.JSONField(default=dict)
    address = EncryptedTextField(blank=True)
    address_index = models.CharField(max_length=32, blank=True, editable=False)
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True, editable=False)
    attempt_count = models.PositiveSmallIntegerField(default=0)
    attempts_forgiven = models.PositiveSmallIntegerField(
        default=0, help_text="Attempts made before staff requeued it; they no longer count towards the limit."
    )
    template_version = models.ForeignKey(
        "notifications.TemplateVersion",
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        db_index=False,
    )
    provider = models.CharField(max_length=50, blank=True)
    account = models.CharField(
        max_length=60, blank=True, db_default="", help_text="The provider account's key."
    )
    provider_message_id = models.CharField(max_length=255, blank=True)
    segments = models.PositiveSmallIntegerField(null=True, help_text="Of an SMS.")
    error = models.TextField(blank=True)
    sent_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True)
    clicked_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["notification", "channel"], name="delivery_once")]
        indexes = [
            models.Index(
                fields=["channel", "priority", "organization", "due_at"],
                condition=models.Q(status__in=WAITING),
                name="delivery_due",
            ),
            models.Index(
                fields=["lease_until"], condition=models.Q(status="sending"), name="delivery_leases"
            ),
            models.Index(
                fields=["organization", "status", "-created_at"],
                condition=models.Q(status__in=["failed", "dead", "unknown", "bounced", "complained"]),
                name="delivery_trouble",
            ),
            models.Index(
                fields=["provider_message_id"],
                condition=~models.Q(provider_message_id=""),
                name="delivery_message_id",
            ),
            models.Index(
                fields=["address_index"],
                condition=models.Q(channel="sms") & ~models.Q(address_index=""),
                name="delivery_sms_address",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.status}"


class DeliveryAttempt(models.Model):
    """One call to a provider. It is written before the call; an attempt without an outcome was cut short."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    number = models.PositiveSmallIntegerField()
    provider = models.CharField(max_length=50)
    account = models.CharField(max_length=60, blank=True, db_default="")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=9, choices=Outcome, blank=True)
    detail = models.TextField(blank=True)
    provider_message_id = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["delivery", "number"], name="delivery_attempt_once")]
        indexes = [
            # Receipts of a provider that sent before another one did find their delivery through its attempt.
            models.Index(
                fields=["provider_message_id"],
                condition=~models.Q(provider_message_id=""),
                name="attempt_message_id",
            )
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.outcome or 'started'}"

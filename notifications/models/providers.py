"""Accounts at providers, the state of their circuit breakers, and what providers report."""

from __future__ import annotations

from django.db import models

from castcomm.common.fields import EncryptedTextField
from castcomm.common.ids import new_id
from castcomm.common.models import BaseModel, TenantModel
from notifications.vocabulary import Channel, ReceiptKind


class ProviderAccount(BaseModel):
    """An account at a provider. Without an organization it serves all that have none of their own for the channel.

    ``credentials`` is a JSON object with the fields that the provider's class declares. Lower positions are tried
    first; accounts of one position share the load by weight. Limits are messages per time; empty means none.
    """

    organization = models.ForeignKey(
        "accounts.Organization", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    channel = models.CharField(max_length=10, choices=Channel)
    provider = models.CharField(max_length=50)
    name = models.CharField(max_length=100)
    credentials = EncryptedTextField(default="{}")
    position = models.PositiveSmallIntegerField(default=100)
    weight = models.PositiveSmallIntegerField(default=1)
    per_minute = models.PositiveIntegerField(null=True, blank=True)
    per_hour = models.PositiveIntegerField(null=True, blank=True)
    per_day = models.PositiveIntegerField(null=True, blank=True)
    is_active = models.BooleanField(default=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["channel", "position", "created_at"]

    def __str__(self) -> str:
        return self.name


class BreakerState(models.TextChoices):
    CLOSED = "closed", "Closed: messages pass"
    OPEN = "open", "Open: nothing is sent through it"
    HALF_OPEN = "half_open", "Half open: a probe is on its way"


class ProviderBreaker(models.Model):
    """The circuit breaker of one account, as staff see it and as workers read it while Redis is away."""

    account = models.CharField(max_length=60, primary_key=True, help_text="The account's key.")
    state = models.CharField(max_length=9, choices=BreakerState, default=BreakerState.CLOSED)
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    openings = models.PositiveIntegerField(default=0, help_text="In a row: each waits longer.")
    opened_at = models.DateTimeField(null=True)
    open_until = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.account}: {self.state}"


class ProviderEvent(models.Model):
    """What a provider (or our own tracking) reported about one message: raw, and in our words.

    ``event_key`` is the provider's id of the event, or a digest where it gives none: the same event twice is one row.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    organization = models.ForeignKey(
        "accounts.Organization", on_delete=models.CASCADE, null=True, related_name="+"
    )
    delivery = models.ForeignKey(
        "notifications.Delivery", on_delete=models.CASCADE, null=True, related_name="events"
    )
    provider = models.CharField(max_length=50)
    account = models.CharField(max_length=60, blank=True)
    event_key = models.CharField(max_length=200)
    kind = models.CharField(max_length=12, choices=ReceiptKind)
    is_automatic = models.BooleanField(
        default=False, help_text="A proxy, scanner or bot opened or clicked, not a person."
    )
    provider_message_id = models.CharField(max_length=255, blank=True)
    recipient_index = models.CharField(max_length=32, blank=True)
    occurred_at = models.DateTimeField()
    detail = models.TextField(blank=True)
    payload = models.JSONField(default=dict)

    class Meta:
        ordering = ["occurred_at"]
        constraints = [models.UniqueConstraint(fields=["provider", "event_key"], name="provider_event_once")]
        indexes = [models.Index(fields=["created_at"], name="provider_event_age")]

    def __str__(self) -> str:
        return f"{self.provider} {self.kind}"


class TrackedLink(TenantModel):
    """A URL that mails of an organization link to. Tracking links refer to it, so that none can be made to lead
    elsewhere.

    ``created_at`` moves on with the mails that take the link again, to a day or two: it says how old the youngest of
    them is, and by that ``retention`` deletes it.
    """

    url = models.TextField()
    digest = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the URL, in hex.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "digest"], name="tracked_link_once")]

    def __str__(self) -> str:
        return self.url[:80]

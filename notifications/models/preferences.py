"""What a person wants, when they do not want it, and where nothing may be sent any more."""

from __future__ import annotations

import datetime as dt
import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Coalesce

from castcomm.common.fields import EncryptedTextField
from castcomm.common.models import TenantModel
from notifications.vocabulary import Channel, SuppressionReason

# Stands for "none" in the unique index: PostgreSQL 14 cannot treat nulls as equal.
NOBODY = models.Value(uuid.UUID(int=0), output_field=models.UUIDField())


class PreferenceScope(models.TextChoices):
    GLOBAL = "global", "Everything"
    CATEGORY = "category", "A category"
    EVENT_TYPE = "event_type", "An event type"


class Preference(TenantModel):
    """One switch: a scope, a channel (empty means all), on or off. The most specific switch decides.

    Without a user it is the organization's default for everyone.
    """

    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, null=True, blank=True, related_name="preferences"
    )
    scope = models.CharField(max_length=10, choices=PreferenceScope)
    category = models.ForeignKey(
        "notifications.Category", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    event_type = models.ForeignKey(
        "notifications.EventType", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    channel = models.CharField(max_length=10, choices=Channel, blank=True)
    enabled = models.BooleanField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "organization",
                Coalesce("user", NOBODY),
                "scope",
                Coalesce("category", "event_type", NOBODY),
                "channel",
                name="preference_once",
            ),
            models.CheckConstraint(
                name="preference_scope_fits",
                condition=(
                    models.Q(scope="global", category__isnull=True, event_type__isnull=True)
                    | models.Q(scope="category", category__isnull=False, event_type__isnull=True)
                    | models.Q(scope="event_type", category__isnull=True, event_type__isnull=False)
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.channel or 'all channels'}: {'on' if self.enabled else 'off'}"


ALL_DAYS = [0, 1, 2, 3, 4, 5, 6]


def every_day() -> list[int]:
    return list(ALL_DAYS)


class QuietHours(TenantModel):
    """Local times between which nothing but critical news goes out, except into the inbox.

    An end before the start means overnight; ``days`` (Monday is 0) are the days on which a period begins. A row of a
    channel stands instead of the one for all: its own hours or, not enabled, none on this channel.
    """

    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="quiet_hours")
    channel = models.CharField(
        max_length=10, choices=Channel, blank=True, default="", db_default="", help_text="Empty: all of them."
    )
    enabled = models.BooleanField(default=True)
    start = models.TimeField(default=dt.time(22, 0))
    end = models.TimeField(default=dt.time(8, 0))
    days = ArrayField(models.PositiveSmallIntegerField(), default=every_day)
    time_zone = models.CharField(max_length=64, blank=True, help_text="Empty means the person's own.")

    class Meta:
        verbose_name_plural = "quiet hours"
        constraints = [
            models.UniqueConstraint(fields=["organization", "user", "channel"], name="quiet_hours_once")
        ]

    def __str__(self) -> str:
        return f"{self.start:%H:%M}–{self.end:%H:%M}"


class Suppression(TenantModel):
    """An address to which nothing is sent. Found by its blind index; the address itself is encrypted."""

    channel = models.CharField(max_length=10, choices=Channel)
    address = EncryptedTextField()
    address_index = models.CharField(max_length=32, editable=False)
    reason = models.CharField(max_length=11, choices=SuppressionReason)
    detail = models.TextField(blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "channel", "address_index"], name="suppression_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.reason}"


class PushKind(models.TextChoices):
    WEB = "web", "Browser (Web Push)"
    FCM = "fcm", "App (Firebase)"


class PushSubscription(TenantModel):
    """A browser (W3C Push API: endpoint and the two keys) or an app (``endpoint`` is its Firebase token)."""

    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="push_subscriptions")
    kind = models.CharField(max_length=3, choices=PushKind, default=PushKind.WEB)
    endpoint = EncryptedTextField()
    endpoint_index = models.CharField(max_length=32, editable=False)
    p256dh = EncryptedTextField(blank=True)
    auth = EncryptedTextField(blank=True)
    device_name = models.CharField(max_length=100, blank=True)
    user_agent = models.CharField(max_length=400, blank=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "user", "endpoint_index"], name="push_subscription_once"
            )
        ]

    def __str__(self) -> str:
        return self.device_name or "device"

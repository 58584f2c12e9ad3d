"""Frequency caps: how much a person may get in an hour or a day, whatever it is about."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models

from castcomm.common.models import TenantModel
from notifications.vocabulary import Channel


class CapPeriod(models.TextChoices):
    HOUR = "hour", "Hour"
    DAY = "day", "Day"


class CapOverflow(models.TextChoices):
    DIGEST = "digest", "Goes into the digest"
    DEFER = "defer", "Waits until there is room"
    DROP = "drop", "Is not sent"


class FrequencyCap(TenantModel):
    """At most ``limit`` per person, channel (empty: e-mail, SMS and push together) and period, over all event types.

    Critical and exempt event types and the inbox are neither counted nor held back.
    """

    channel = models.CharField(
        max_length=10,
        choices=[choice for choice in Channel.choices if choice[0] != Channel.IN_APP.value],
        blank=True,
        help_text="Empty: all of them together.",
    )
    period = models.CharField(max_length=4, choices=CapPeriod)
    limit = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    overflow = models.CharField(max_length=6, choices=CapOverflow, default=CapOverflow.DIGEST)
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["channel", "period"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "channel", "period"], name="frequency_cap_once"),
            models.CheckConstraint(condition=models.Q(limit__gte=1), name="frequency_cap_at_least_one"),
        ]

    def __str__(self) -> str:
        return f"{self.limit} per {self.period}, {self.channel or 'all channels'}"


class CapCounter(models.Model):
    """How much a person got on a channel in this period and in the one before: one row that is counted up in place.

    A period begins at a whole hour or day (UTC). What counts is ``count`` and of ``previous`` the part that lies
    within the last hour or day, so that a limit cannot be had twice around the full hour.
    """

    id = models.BigAutoField(primary_key=True)
    organization = models.ForeignKey(
        "accounts.Organization", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    channel = models.CharField(max_length=10, choices=Channel)
    period = models.CharField(max_length=4, choices=CapPeriod)
    began_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)
    previous = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "user", "channel", "period"], name="cap_counter_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.count} per {self.period} on {self.channel}"

"""Digests: how often a person wants to hear of what, and what waits to go out together."""

from __future__ import annotations

import datetime as dt

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models.functions import Coalesce

from castcomm.common.models import TenantModel
from notifications.models.preferences import NOBODY


class DigestFrequency(models.TextChoices):
    INSTANT = "instant", "At once"
    HOURLY = "hourly", "Every hour"
    DAILY = "daily", "Every day"
    WEEKLY = "weekly", "Every week"


class DigestSetting(TenantModel):
    """How often mail of a category (None: of all) reaches a person (None: everybody, unless they chose).

    The person's own setting decides before the organization's, and the category's before that for all. ``at`` and
    ``weekday`` (Monday is 0) are in the person's time zone; ``at`` counts for daily and weekly, ``weekday`` for weekly.
    """

    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, null=True, blank=True, related_name="digest_settings"
    )
    category = models.ForeignKey(
        "notifications.Category", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    frequency = models.CharField(max_length=7, choices=DigestFrequency)
    at = models.TimeField(default=dt.time(9, 0))
    weekday = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(6)])
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "organization",
                Coalesce("user", NOBODY),
                Coalesce("category", NOBODY),
                name="digest_setting_once",
            ),
            models.CheckConstraint(condition=models.Q(weekday__lte=6), name="digest_setting_weekday"),
        ]
        indexes = [
            models.Index(
                fields=["user"], condition=models.Q(user__isnull=False), name="digest_setting_of_person"
            )
        ]

    def __str__(self) -> str:
        return self.get_frequency_display()


class WindowStatus(models.TextChoices):
    OPEN = "open", "Collecting"
    SENT = "sent", "Sent"
    EMPTY = "empty", "Nothing was left to send"


class DigestWindow(TenantModel):
    """What one person gets together: open until ``closes_at``, then one mail, or nothing.

    ``cadence`` tells windows of one person apart that close at different times: ``hourly``, ``daily@09:00``,
    ``weekly.0@09:00``. There is one open window per person and cadence; whoever adds to it locks its row by counting
    ``item_count`` up, which also gives the item its place, so that nothing is added to a window that has closed.
    """

    # The unique index below serves what is asked of an organization.
    organization = models.ForeignKey(
        "accounts.Organization", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="digest_windows")
    cadence = models.CharField(max_length=20)
    status = models.CharField(max_length=5, choices=WindowStatus, default=WindowStatus.OPEN)
    zone = models.CharField(max_length=64, help_text="The time zone that closes_at was computed in.")
    closes_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    item_count = models.PositiveIntegerField(default=0)
    sent_count = models.PositiveIntegerField(
        null=True, help_text="Items that were left when it closed, and went out."
    )
    notification = models.OneToOneField(
        "notifications.Notification",
        on_delete=models.SET_NULL,
        null=True,
        related_name="digest_window",
        help_text="The digest itself, once it was sent.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "user", "cadence"],
                condition=models.Q(status="open"),
                name="digest_window_one_open",
            )
        ]
        indexes = [
            models.Index(fields=["closes_at"], condition=models.Q(status="open"), name="digest_window_due")
        ]

    def __str__(self) -> str:
        return f"{self.cadence} {self.status}"


class DigestItem(models.Model):
    """A delivery that waits in a window. Whether it still goes out is the delivery's status: ``in_digest``."""

    delivery = models.OneToOneField(
        "notifications.Delivery", on_delete=models.CASCADE, primary_key=True, related_name="digest_item"
    )
    window = models.ForeignKey(DigestWindow, on_delete=models.CASCADE, related_name="items", db_index=False)
    position = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["window", "position"], name="digest_item_place_once")]

    def __str__(self) -> str:
        return f"#{self.position}"

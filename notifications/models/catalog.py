"""What an organization can send: categories and event types, edited by staff."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models

from castcomm.common.models import TenantModel
from notifications.vocabulary import Channel, Priority

KEY = RegexValidator(
    r"^[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?$",
    "Use lower-case letters, digits, dots, hyphens and underscores.",
)


class Category(TenantModel):
    """A group of event types that a person can turn on or off together."""

    key = models.CharField(max_length=100, validators=[KEY])
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    position = models.PositiveIntegerField(default=0)
    requires_consent = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Nothing of it leaves the inbox for a person who has not turned it on.",
    )

    class Meta:
        verbose_name_plural = "categories"
        ordering = ["position", "name"]
        constraints = [models.UniqueConstraint(fields=["organization", "key"], name="category_key_once")]

    def __str__(self) -> str:
        return self.name


class QuietHoursPolicy(models.TextChoices):
    DEFER = "defer", "Wait until they end"
    DROP = "drop", "Do not send"


def default_channels() -> list[str]:
    return [Channel.IN_APP.value, Channel.EMAIL.value]


class EventType(TenantModel):
    """A kind of news, such as ``lead.created``: how it is sent unless the person decided otherwise."""

    key = models.CharField(max_length=100, validators=[KEY])
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="event_types")
    template = models.ForeignKey(
        "notifications.Template", on_delete=models.PROTECT, null=True, blank=True, related_name="event_types"
    )
    channels = ArrayField(
        models.CharField(max_length=10, choices=Channel),
        default=default_channels,
        help_text="The channels it uses by default.",
    )
    priority = models.PositiveSmallIntegerField(choices=Priority, default=Priority.NORMAL)
    is_critical = models.BooleanField(
        "critical", default=False, help_text="Goes out whatever the person's preferences and quiet hours say."
    )
    quiet_hours_policy = models.CharField(
        max_length=5, choices=QuietHoursPolicy, default=QuietHoursPolicy.DEFER
    )
    duplicates_allowed = models.BooleanField(
        default=False,
        help_text="Rather twice than never: when it is unknown whether a provider sent it, send it again "
        "(for one-time codes).",
    )
    is_digestible = models.BooleanField("may go into a digest", default=False)
    is_cap_exempt = models.BooleanField(
        "exempt from caps",
        default=False,
        db_default=False,
        help_text="Neither counted nor held back by frequency caps.",
    )
    tags = ArrayField(
        models.CharField(max_length=40),
        default=list,
        db_default=[],
        blank=True,
        help_text="Tags in the inbox, besides those that the caller gives.",
    )
    notify_on_event = models.BooleanField(
        default=False, help_text="Notify the person as soon as an event with this key is reported."
    )
    expires_after = models.DurationField(
        null=True, blank=True, help_text="Not sent any more, and gone from the inbox, after this time."
    )
    is_active = models.BooleanField(default=True)

    class Meta:
        ordering = ["key"]
        constraints = [models.UniqueConstraint(fields=["organization", "key"], name="event_type_key_once")]

    def __str__(self) -> str:
        return self.key

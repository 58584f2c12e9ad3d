"""When a person opens and reads: what the smart send time is chosen from."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Coalesce

from castcomm.common.models import TenantModel
from notifications.models.preferences import NOBODY

HOURS_OF_WEEK = 168


def no_engagement() -> list[int]:
    """A histogram in which nothing was counted yet."""
    return [0] * HOURS_OF_WEEK


class SmartSendPolicy(TenantModel):
    """Whether, and within how many hours, an organization lets low priority messages wait for a good moment."""

    organization = models.OneToOneField(
        "accounts.Organization", on_delete=models.CASCADE, related_name="smart_send_policy"
    )
    is_enabled = models.BooleanField("enabled", default=False)
    max_wait_hours = models.PositiveSmallIntegerField(
        default=24, validators=[MinValueValidator(1), MaxValueValidator(HOURS_OF_WEEK)]
    )

    class Meta:
        verbose_name_plural = "smart send policies"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(max_wait_hours__gte=1, max_wait_hours__lte=HOURS_OF_WEEK),
                name="smart_send_wait_within_week",
            )
        ]

    def __str__(self) -> str:
        return "on" if self.is_enabled else "off"


class EngagementHistogram(TenantModel):
    """Opens, clicks, reads and actions of a person by local hour of the week; without a user, of all: the prior.

    ``counts[weekday * 24 + hour]``, Monday is 0. They are halved now and then, so that habits can change.
    """

    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, null=True, related_name="+")
    counts = ArrayField(models.PositiveIntegerField(), size=HOURS_OF_WEEK, default=no_engagement)
    total = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "organization", Coalesce("user", NOBODY), name="engagement_histogram_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.total} times"

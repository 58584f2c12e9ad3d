"""How long things are kept, and the jobs that see to it."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models

from castcomm.common.models import TenantModel

A_DAY = [MinValueValidator(1)]


class RetentionPolicy(TenantModel):
    """An organization's periods in days; empty means for ever. Without a row, the deployment's defaults hold."""

    organization = models.OneToOneField(
        "accounts.Organization", on_delete=models.CASCADE, related_name="retention_policy"
    )
    archive_read_after = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=A_DAY,
        help_text="Days after which what was read goes into the archive.",
    )
    archive_unread_after = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=A_DAY,
        help_text="Days after which what nobody read goes into the archive.",
    )
    keep_archived = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=A_DAY, help_text="Days for which the archive is kept."
    )
    keep_notifications = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=A_DAY,
        help_text="Days after which a notification is deleted with its deliveries, whatever its state.",
    )
    keep_events = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=A_DAY, help_text="Days for which providers' reports are kept."
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "retention policies"

    def __str__(self) -> str:
        return "retention"


class LifecycleJob(models.Model):
    """The last run of a periodic job. Whoever holds the lease is running it: a second Beat finds it taken.

    ``cursor`` is how far a job got that goes through a large table piece by piece.
    """

    name = models.CharField(max_length=40, primary_key=True)
    lease_until = models.DateTimeField(null=True)
    lease_token = models.UUIDField(null=True, editable=False)
    cursor = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    changed = models.PositiveIntegerField(default=0, help_text="Rows that the last run changed.")
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

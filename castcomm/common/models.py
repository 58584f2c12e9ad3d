"""What every model stands on, and the record of idempotent requests."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Self

from django.db import models

from castcomm.common.clock import now
from castcomm.common.ids import new_id

if TYPE_CHECKING:
    from accounts.models import Organization


class BaseModel(models.Model):
    """A UUIDv7 key and the moment of creation (UTC)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    created_at = models.DateTimeField(default=now, editable=False)

    class Meta:
        abstract = True


class TenantQuerySet(models.QuerySet[Any]):
    """Rows of one organization are reached through ``for_organization``."""

    def for_organization(self, organization: Organization | uuid.UUID) -> Self:
        """Only the rows that belong to ``organization``."""
        return self.filter(organization=organization)


class TenantModel(BaseModel):
    """A row that belongs to one organization and is never seen by another."""

    organization = models.ForeignKey("accounts.Organization", on_delete=models.CASCADE, related_name="+")

    objects = TenantQuerySet.as_manager()

    class Meta:
        abstract = True


class IdempotentRequest(models.Model):
    """A POST that came with an ``Idempotency-Key``, and the answer it got. Kept for 24 hours.

    ``status_code`` stays empty while the first request is still running.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    created_at = models.DateTimeField(default=now, editable=False, db_index=True)
    organization_id = models.UUIDField()
    actor = models.CharField(max_length=80)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status_code = models.PositiveSmallIntegerField(null=True)
    body = models.JSONField(null=True)
    locked_until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization_id", "actor", "key"], name="idempotent_request_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.actor}"

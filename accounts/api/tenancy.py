"""Every API view works inside one organization: the views to build on, and the permissions they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from accounts.api.permissions import (
    HasScope,
    IsMember,
    IsOrganizationAdmin,
    IsPerson,
    IsStaffMember,
    Tenant,
    resolve_tenant,
)
from accounts.models import Membership, Organization, User
from castcomm.common.api.idempotency import run_once

__all__ = [
    "HasScope",
    "IsMember",
    "IsOrganizationAdmin",
    "IsPerson",
    "IsStaffMember",
    "Tenant",
    "TenantAPIView",
    "TenantMixin",
    "TenantViewSet",
    "resolve_tenant",
]


class TenantMixin:
    """What views of one organization have at hand. The permissions are checked before any of it is read."""

    # A Request in every view; the stubs of Django's View name another type.
    request: Any

    @property
    def tenant(self) -> Tenant:
        return resolve_tenant(self.request)

    @property
    def organization(self) -> Organization:
        return self.tenant.organization

    @property
    def membership(self) -> Membership | None:
        """None for an API key."""
        return self.tenant.membership

    @property
    def user(self) -> User | None:
        """None for an API key."""
        return self.tenant.membership.user if self.tenant.membership is not None else None

    @property
    def actor(self) -> str:
        return self.tenant.actor

    def run_once(self, act: Callable[[], Response]) -> Response:
        """Run ``act`` once per ``Idempotency-Key`` of this caller."""
        return run_once(request=self.request, organization_id=self.organization.id, actor=self.actor, act=act)


class TenantAPIView(TenantMixin, APIView):
    """An APIView of one organization."""


class TenantViewSet(TenantMixin, GenericViewSet[Any]):
    """A GenericViewSet whose rows are those of the caller's organization."""

    def get_queryset(self) -> Any:
        queryset: Any = super().get_queryset()
        if getattr(self, "swagger_fake_view", False):
            # The schema is made without a caller.
            return queryset.none()
        return queryset.for_organization(self.organization)

"""What the caller wants; and what an organization has set for everyone."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import IsMember, IsStaffMember, TenantAPIView
from notifications.api.inbox_views import person
from notifications.api.preference_serializers import DefaultChanges, PreferenceChanges
from notifications.api.preference_token import PREFERENCE_AUTHENTICATION, origin_of
from notifications.services.effective_preferences import effective_preferences
from notifications.services.preferences import parse_changes, set_switches, switches_of
from notifications.services.quiet_hours import quiet_hours_of, set_quiet_hours

_SWITCHES = OpenApiResponse(description="Switches by scope, and quiet hours.")


class PreferencesView(TenantAPIView):
    """The switches and quiet hours that the person has set; null is not set."""

    authentication_classes = PREFERENCE_AUTHENTICATION
    permission_classes = [IsMember]

    @extend_schema(responses=_SWITCHES)
    def get(self, request: Request) -> Response:
        user = person(self)
        quiet = quiet_hours_of(organization=self.organization, user=user)
        return Response({**switches_of(organization=self.organization, user=user), "quiet_hours": quiet})

    @extend_schema(request=PreferenceChanges, responses=_SWITCHES)
    def patch(self, request: Request) -> Response:
        asked = _checked(PreferenceChanges, request)
        user = person(self)
        with transaction.atomic():
            if "set" in asked:
                set_switches(
                    organization=self.organization,
                    user=user,
                    changes=parse_changes(asked["set"]),
                    origin=origin_of(self, wording=asked.get("wording", "")),
                )
            if "quiet_hours" in asked:
                set_quiet_hours(organization=self.organization, user=user, given=asked["quiet_hours"])
        return self.get(request)


class EffectivePreferencesView(TenantAPIView):
    """For each event type and channel: would it reach the person, when, why, and by whose choice."""

    authentication_classes = PREFERENCE_AUTHENTICATION
    permission_classes = [IsMember]

    @extend_schema(responses=OpenApiResponse(description="A cell for each event type and channel."))
    def get(self, request: Request) -> Response:
        cells = effective_preferences(organization=self.organization, user=person(self))
        return Response({"cells": cells})


class OrganizationPreferencesView(TenantAPIView):
    """The organization's defaults: they hold for everyone who has not decided otherwise. For staff."""

    permission_classes = [IsStaffMember]

    @extend_schema(responses=OpenApiResponse(description="Switches by scope."))
    def get(self, request: Request) -> Response:
        return Response(switches_of(organization=self.organization, user=None))

    @extend_schema(request=DefaultChanges, responses=OpenApiResponse(description="Switches by scope."))
    def patch(self, request: Request) -> Response:
        changes = parse_changes(_checked(DefaultChanges, request).get("set", []))
        set_switches(organization=self.organization, user=None, changes=changes)
        return self.get(request)


def _checked(shape: type[DefaultChanges], request: Request) -> dict[str, Any]:
    asked = shape(data=request.data)
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)

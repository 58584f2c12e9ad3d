"""What the caller wants."""

from __future__ import annotations

from django.db import transaction
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import IsMember, TenantAPIView
from notifications.api import serializers
from notifications.api.inbox_views import person
from notifications.services import preferences


class PreferencesView(TenantAPIView):
    """The switches and quiet hours that the person has set; null is not set."""

    permission_classes = [IsMember]

    @extend_schema(responses=OpenApiResponse(description="Switches by scope, and quiet hours."))
    def get(self, request: Request) -> Response:
        return Response(preferences.preferences_of(organization=self.organization, user=person(self)))

    @extend_schema(
        request=serializers.PreferenceChanges,
        responses=OpenApiResponse(description="Switches by scope, and quiet hours."),
    )
    def patch(self, request: Request) -> Response:
        asked = serializers.PreferenceChanges(data=request.data)
        asked.is_valid(raise_exception=True)
        user = person(self)
        with transaction.atomic():
            if "set" in asked.validated_data:
                changes = preferences.parse_changes(asked.validated_data["set"])
                preferences.set_switches(organization=self.organization, user=user, changes=changes)
            if "quiet_hours" in asked.validated_data:
                preferences.set_quiet_hours(
                    organization=self.organization, user=user, given=asked.validated_data["quiet_hours"]
                )
        return self.get(request)


class EffectivePreferencesView(TenantAPIView):
    """For each event type and channel: would it go out, and why."""

    permission_classes = [IsMember]

    @extend_schema(responses=OpenApiResponse(description="A cell for each event type and channel."))
    def get(self, request: Request) -> Response:
        cells = preferences.effective_preferences(organization=self.organization, user=person(self))
        return Response({"cells": cells})

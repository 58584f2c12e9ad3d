"""What the caller wants, and the devices that may be reached by push."""

from __future__ import annotations

from django.db import transaction
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import IsMember, TenantAPIView
from notifications.api import serializers
from notifications.api.inbox_views import person
from notifications.services import preferences, push_subscriptions


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


class PushSubscriptionsView(TenantAPIView):
    """The caller's devices."""

    permission_classes = [IsMember]

    @extend_schema(
        responses=OpenApiResponse(description="The devices: id, device_name, user_agent, created_at.")
    )
    def get(self, request: Request) -> Response:
        rows = push_subscriptions.subscriptions_of(organization=self.organization, user=person(self))
        return Response({"results": rows})

    @extend_schema(
        request=serializers.PushSubscriptionRequest,
        responses={201: OpenApiResponse(description="The device.")},
    )
    def post(self, request: Request) -> Response:
        asked = serializers.PushSubscriptionRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        row = push_subscriptions.subscribe(
            organization=self.organization,
            user=person(self),
            endpoint=asked.validated_data["endpoint"],
            keys=asked.validated_data["keys"],
            device_name=asked.validated_data.get("device_name", ""),
            user_agent=request.headers.get("User-Agent", ""),
        )
        return Response(row, status=status.HTTP_201_CREATED)


class PushSubscriptionView(TenantAPIView):
    """One device."""

    permission_classes = [IsMember]

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, subscription_id: str) -> Response:
        push_subscriptions.unsubscribe(
            organization=self.organization, user=person(self), subscription_id=subscription_id
        )
        return Response(status=status.HTTP_204_NO_CONTENT)

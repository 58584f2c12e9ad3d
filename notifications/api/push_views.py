"""The caller's devices, and the key with which a browser subscribes."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import IsMember, TenantAPIView
from castcomm.common.api.serializers import StrictSerializer
from castcomm.common.errors import InvalidInput
from notifications.api.inbox_views import person
from notifications.models import PushKind
from notifications.services import push_subscriptions, push_test, vapid


class PushSubscriptionRequest(StrictSerializer):
    """A PushSubscription as the browser gives it (W3C Push API), or an app's Firebase token; a name for the device.

    ``expirationTime`` is taken because browsers send it.
    """

    kind = serializers.ChoiceField(PushKind.choices, default=PushKind.WEB)
    endpoint = serializers.CharField(max_length=2000, required=False)
    keys = serializers.DictField(child=serializers.CharField(max_length=200), required=False)
    expirationTime = serializers.FloatField(required=False, allow_null=True)
    token = serializers.CharField(max_length=push_subscriptions.MAX_TOKEN, required=False)
    device_name = serializers.CharField(max_length=100, required=False, allow_blank=True)


class DeviceName(StrictSerializer):
    """What the person calls the device; empty for what it says of itself."""

    device_name = serializers.CharField(max_length=100, allow_blank=True)


class VapidPublicKeyView(TenantAPIView):
    """What the browser takes as ``applicationServerKey``."""

    permission_classes = [IsMember]

    @extend_schema(responses=OpenApiResponse(description="public_key: an uncompressed point in base64url."))
    def get(self, request: Request) -> Response:
        return Response({"public_key": vapid.public_key_for(self.organization.id)})


class PushSubscriptionsView(TenantAPIView):
    """The caller's devices."""

    permission_classes = [IsMember]

    @extend_schema(
        responses=OpenApiResponse(
            description="The devices: id, kind, device_name, user_agent, created_at, last_used_at."
        )
    )
    def get(self, request: Request) -> Response:
        rows = push_subscriptions.subscriptions_of(organization=self.organization, user=person(self))
        return Response({"results": rows})

    @extend_schema(
        request=PushSubscriptionRequest, responses={201: OpenApiResponse(description="The device.")}
    )
    def post(self, request: Request) -> Response:
        asked = PushSubscriptionRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        is_web = given["kind"] == PushKind.WEB
        needed = ("endpoint", "keys") if is_web else ("token",)
        for name in needed:
            if name not in given:
                raise InvalidInput("This field is required.", attr=name, code="required")
        row = push_subscriptions.subscribe(
            organization=self.organization,
            user=person(self),
            kind=given["kind"],
            endpoint=given["endpoint"] if is_web else given["token"],
            keys=given["keys"] if is_web else None,
            device_name=given.get("device_name"),
            user_agent=request.headers.get("User-Agent", ""),
        )
        return Response(row, status=status.HTTP_201_CREATED)


class PushSubscriptionView(TenantAPIView):
    """One device."""

    permission_classes = [IsMember]

    @extend_schema(request=DeviceName, responses=OpenApiResponse(description="The device."))
    def patch(self, request: Request, subscription_id: str) -> Response:
        asked = DeviceName(data=request.data)
        asked.is_valid(raise_exception=True)
        row = push_subscriptions.rename(
            organization=self.organization,
            user=person(self),
            subscription_id=subscription_id,
            device_name=asked.validated_data["device_name"],
        )
        return Response(row)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, subscription_id: str) -> Response:
        push_subscriptions.unsubscribe(
            organization=self.organization, user=person(self), subscription_id=subscription_id
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class PushTestView(TenantAPIView):
    """A push to all of the caller's devices."""

    permission_classes = [IsMember]

    @extend_schema(
        request=None,
        responses={202: OpenApiResponse(description="notification_id: ask its /explain what came of it.")},
    )
    def post(self, request: Request) -> Response:
        sent = push_test.send_test_push(organization=self.organization, user=person(self))
        return Response({"notification_id": str(sent.notifications[0].id)}, status=status.HTTP_202_ACCEPTED)


class PushTestOutcomeView(TenantAPIView):
    """What came of a test."""

    permission_classes = [IsMember]

    @extend_schema(
        responses=OpenApiResponse(
            description="status and detail of the delivery; devices: id, outcome (sent, not_sent, unknown, permanent), "
            "detail, gone. They are known for ten minutes."
        )
    )
    def get(self, request: Request, notification_id: uuid.UUID) -> Response:
        told = push_test.outcome_of(
            organization=self.organization, user=person(self), notification_id=notification_id
        )
        return Response(told)

"""When and how often: frequency caps, and waiting for a good hour. For staff."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import IsStaffMember, TenantAPIView
from castcomm.common.api.serializers import StrictSerializer
from notifications.models import FrequencyCap, SmartSendPolicy
from notifications.models.caps import CapOverflow, CapPeriod
from notifications.services.caps.editing import CapChange, delete_cap, set_cap
from notifications.services.caps.room import EXTERNAL
from notifications.services.smart_send.editing import engagements_counted, policy_of, set_policy

ALL = "*"
_CHANNELS = [ALL, *EXTERNAL]


class CapKey(StrictSerializer):
    """Which cap: that of a channel (``*``: e-mail, SMS and push together) and a period."""

    channel = serializers.ChoiceField(_CHANNELS, default=ALL)
    period = serializers.ChoiceField(CapPeriod.choices)


class Cap(CapKey):
    limit = serializers.IntegerField(help_text="At most so many per person.")
    overflow = serializers.ChoiceField(
        CapOverflow.choices,
        default=CapOverflow.DIGEST.value,
        help_text="What becomes of the rest. What cannot be in a digest waits instead.",
    )
    active = serializers.BooleanField(default=True)


class Caps(serializers.Serializer[Any]):
    results = Cap(many=True)


class SmartSend(StrictSerializer):
    enabled = serializers.BooleanField()
    max_wait_hours = serializers.IntegerField(required=False)
    engagements = serializers.IntegerField(read_only=True, help_text="Counted so far, of everybody.")


class FrequencyCapsView(TenantAPIView):
    """How much a person may get, over all event types but critical and exempt ones."""

    permission_classes = [IsStaffMember]

    @extend_schema(responses=Caps)
    def get(self, request: Request) -> Response:
        rows = FrequencyCap.objects.for_organization(self.organization)
        return Response({"results": [_cap_json(row) for row in rows]})

    @extend_schema(request=Cap, responses=Cap)
    def put(self, request: Request) -> Response:
        asked = Cap(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        change = CapChange(
            channel=_stored(given["channel"]),
            period=given["period"],
            limit=given["limit"],
            overflow=given["overflow"],
            is_active=given["active"],
        )
        return Response(_cap_json(set_cap(organization=self.organization, change=change)))

    @extend_schema(
        parameters=[
            OpenApiParameter("channel", enum=_CHANNELS),
            OpenApiParameter("period", enum=CapPeriod.values, required=True),
        ],
        responses={204: None},
    )
    def delete(self, request: Request) -> Response:
        asked = CapKey(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        delete_cap(organization=self.organization, channel=_stored(given["channel"]), period=given["period"])
        return Response(status=status.HTTP_204_NO_CONTENT)


class SmartSendView(TenantAPIView):
    """Whether low priority messages wait for an hour at which the person usually reads."""

    permission_classes = [IsStaffMember]

    @extend_schema(responses=SmartSend)
    def get(self, request: Request) -> Response:
        return Response(self._json(policy_of(self.organization)))

    @extend_schema(request=SmartSend, responses=SmartSend)
    def put(self, request: Request) -> Response:
        asked = SmartSend(data=request.data)
        asked.is_valid(raise_exception=True)
        row = set_policy(
            organization=self.organization,
            is_enabled=asked.validated_data["enabled"],
            max_wait_hours=asked.validated_data.get("max_wait_hours"),
        )
        return Response(self._json(row))

    def _json(self, row: SmartSendPolicy) -> dict[str, Any]:
        return {
            "enabled": row.is_enabled,
            "max_wait_hours": row.max_wait_hours,
            "engagements": engagements_counted(self.organization),
        }


def _stored(channel: str) -> str:
    return "" if channel == ALL else channel


def _cap_json(row: FrequencyCap) -> dict[str, Any]:
    return {
        "channel": row.channel or ALL,
        "period": row.period,
        "limit": row.limit,
        "overflow": row.overflow,
        "active": row.is_active,
    }

"""Broadcasts: a send to groups, how far it is, and stopping it."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import HasScope, TenantAPIView
from castcomm.common.api.pagination import CursorPagination
from castcomm.common.errors import InvalidInput
from notifications.api import audience_serializers as shapes
from notifications.api.sending_views import IDEMPOTENCY
from notifications.api.serializers import SendRequest
from notifications.models import Broadcast
from notifications.services.audiences.groups import has_groups
from notifications.services.audiences.steering import (
    cancel_broadcast,
    find_broadcast,
    pause_broadcast,
    resume_broadcast,
)
from notifications.services.sending import send_notification


class _BroadcastView(TenantAPIView):
    def get_permissions(self) -> list[Any]:
        scope = "notifications:read" if self.request.method == "GET" else "notifications:send"
        return [HasScope(scope)()]


class BroadcastsView(_BroadcastView):
    """The broadcasts, newest first; ``POST`` takes what a send takes, to at least one group."""

    max_body_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    @extend_schema(responses=shapes.BroadcastRow(many=True))
    def get(self, request: Request) -> Response:
        rows = Broadcast.objects.for_organization(self.organization).select_related("request__event_type")
        pages = CursorPagination()
        page = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(shapes.BroadcastRow(page, many=True).data)

    @extend_schema(request=SendRequest, responses={202: shapes.BroadcastRow}, parameters=[IDEMPOTENCY])
    def post(self, request: Request) -> Response:
        return self.run_once(lambda: self._send(request))

    def _send(self, request: Request) -> Response:
        asked = SendRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        if not has_groups(asked.validated_data["recipients"]):
            raise InvalidInput(
                "Name a topic, a list, a role or the organization; for people there is notifications.",
                attr="recipients",
            )
        sent = send_notification(organization=self.organization, source="api", **asked.validated_data)
        made = Broadcast.objects.select_related("request__event_type").get(request_id=sent.request_id)
        return Response(shapes.BroadcastRow(made).data, status=status.HTTP_202_ACCEPTED)


class BroadcastView(_BroadcastView):
    """How far one broadcast is."""

    @extend_schema(responses=shapes.BroadcastDetail)
    def get(self, request: Request, broadcast_id: str) -> Response:
        found = find_broadcast(self.organization, uuid.UUID(broadcast_id))
        return Response(shapes.BroadcastDetail(found).data)


class BroadcastActView(_BroadcastView):
    """Hold a broadcast, let it go on, or end it. What has been sent stays sent."""

    act: ClassVar[str] = "pause"

    @extend_schema(request=None, responses=shapes.Stopped)
    def post(self, request: Request, broadcast_id: str) -> Response:
        one: dict[str, Any] = {"organization": self.organization, "broadcast_id": uuid.UUID(broadcast_id)}
        if self.act == "pause":
            count = pause_broadcast(**one, by=self.user.id if self.user else None)
        else:
            count = {"resume": resume_broadcast, "cancel": cancel_broadcast}[self.act](**one)
        return Response({"deliveries": count})

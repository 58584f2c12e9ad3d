"""Outgoing webhooks: an organization's endpoints, what was sent to them, and sending it again."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import HasScope, TenantAPIView
from castcomm.common.api.pagination import CursorPagination
from castcomm.common.errors import InvalidInput, NotFound
from notifications.api import webhook_serializers as serializers
from notifications.api.sending_views import IDEMPOTENCY
from notifications.models import WebhookDelivery, WebhookEndpoint, WebhookStatus
from notifications.services import webhook_endpoints, webhook_replay

# An endpoint hears what happens to everybody's messages.
ADMIN = HasScope("admin")
PAGING = (OpenApiParameter("limit", int), OpenApiParameter("cursor", str))


class EndpointsView(TenantAPIView):
    """The endpoints of the organization, and the making of new ones."""

    permission_classes = [ADMIN]

    @extend_schema(responses=serializers.EndpointView(many=True), parameters=[*PAGING])
    def get(self, request: Request) -> Response:
        rows = WebhookEndpoint.objects.for_organization(self.organization)
        pages = CursorPagination()
        page = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(serializers.EndpointView(page, many=True).data)

    @extend_schema(request=serializers.EndpointWrite, responses={201: serializers.NewEndpointView})
    def post(self, request: Request) -> Response:
        asked = serializers.EndpointWrite(data=request.data)
        asked.is_valid(raise_exception=True)
        # No run_once here: the record of the answer would keep the plain secret.
        row, _ = webhook_endpoints.create_endpoint(organization=self.organization, **asked.validated_data)
        return Response(serializers.NewEndpointView(row).data, status=status.HTTP_201_CREATED)


class _OneEndpointView(TenantAPIView):
    permission_classes = [ADMIN]

    def find(self, endpoint_id: str) -> WebhookEndpoint:
        rows = WebhookEndpoint.objects.for_organization(self.organization).select_related("organization")
        found: WebhookEndpoint | None = rows.filter(id=uuid.UUID(endpoint_id)).first()
        if found is None:
            raise NotFound("There is no such endpoint.")
        return found


class EndpointDetailView(_OneEndpointView):
    """One endpoint."""

    @extend_schema(responses=serializers.EndpointView)
    def get(self, request: Request, endpoint_id: str) -> Response:
        return Response(serializers.EndpointView(self.find(endpoint_id)).data)

    @extend_schema(request=serializers.EndpointChange, responses=serializers.EndpointView)
    def patch(self, request: Request, endpoint_id: str) -> Response:
        row = self.find(endpoint_id)
        asked = serializers.EndpointChange(data=request.data)
        asked.is_valid(raise_exception=True)
        changed = webhook_endpoints.change_endpoint(endpoint=row, changes=asked.validated_data)
        return Response(serializers.EndpointView(changed).data)

    @extend_schema(request=None, responses={204: None})
    def delete(self, request: Request, endpoint_id: str) -> Response:
        webhook_endpoints.delete_endpoint(endpoint=self.find(endpoint_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class EndpointRotationView(_OneEndpointView):
    """A new secret; for 24 hours everything is signed with the old one as well."""

    @extend_schema(request=None, responses={201: serializers.NewEndpointView})
    def post(self, request: Request, endpoint_id: str) -> Response:
        row, _ = webhook_endpoints.rotate_secret(endpoint=self.find(endpoint_id))
        return Response(serializers.NewEndpointView(row).data, status=status.HTTP_201_CREATED)


class EndpointTestView(_OneEndpointView):
    """Send it a ``ping``."""

    @extend_schema(request=None, responses={202: serializers.WebhookDeliveryView}, parameters=[IDEMPOTENCY])
    def post(self, request: Request, endpoint_id: str) -> Response:
        row = self.find(endpoint_id)
        return self.run_once(lambda: self._send(row))

    def _send(self, row: WebhookEndpoint) -> Response:
        made = webhook_endpoints.send_test(endpoint=row)
        return Response(serializers.WebhookDeliveryView(made).data, status=status.HTTP_202_ACCEPTED)


class EndpointDeliveriesView(_OneEndpointView):
    """What was sent to an endpoint, newest first."""

    @extend_schema(
        responses=serializers.WebhookDeliveryView(many=True),
        parameters=[*PAGING, OpenApiParameter("status", str, enum=WebhookStatus.values)],
    )
    def get(self, request: Request, endpoint_id: str) -> Response:
        rows = WebhookDelivery.objects.filter(endpoint=self.find(endpoint_id)).select_related("message")
        wanted = request.query_params.get("status")
        if wanted is not None:
            if wanted not in WebhookStatus.values:
                raise InvalidInput(f"One of: {', '.join(WebhookStatus.values)}.", attr="status")
            rows = rows.filter(status=wanted)
        pages = CursorPagination()
        page = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response(serializers.WebhookDeliveryView(page, many=True).data)


class EndpointReplayView(_OneEndpointView):
    """Send again what has failed since a moment."""

    @extend_schema(
        request=serializers.ReplayRequest,
        responses={202: serializers.Replayed},
        parameters=[IDEMPOTENCY],
    )
    def post(self, request: Request, endpoint_id: str) -> Response:
        row = self.find(endpoint_id)
        asked = serializers.ReplayRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        return self.run_once(lambda: self._replay(row, asked.validated_data))

    def _replay(self, row: WebhookEndpoint, asked: dict[str, Any]) -> Response:
        count = webhook_replay.replay_endpoint(endpoint=row, **asked)
        return Response({"replayed": count}, status=status.HTTP_202_ACCEPTED)


class _OneDeliveryView(TenantAPIView):
    permission_classes = [ADMIN]

    def find(self, delivery_id: str) -> WebhookDelivery:
        rows = WebhookDelivery.objects.for_organization(self.organization)
        found: WebhookDelivery | None = (
            rows.select_related("message", "endpoint").filter(id=uuid.UUID(delivery_id)).first()
        )
        if found is None:
            raise NotFound("There is no such delivery.")
        return found


class WebhookDeliveryDetailView(_OneDeliveryView):
    """One delivery with what was told and each attempt."""

    @extend_schema(responses=serializers.WebhookDeliveryDetail)
    def get(self, request: Request, delivery_id: str) -> Response:
        return Response(serializers.WebhookDeliveryDetail(self.find(delivery_id)).data)


class WebhookDeliveryReplayView(_OneDeliveryView):
    """Send one delivery again, with the same ``webhook-id``."""

    @extend_schema(request=None, responses={202: serializers.WebhookDeliveryView}, parameters=[IDEMPOTENCY])
    def post(self, request: Request, delivery_id: str) -> Response:
        row = self.find(delivery_id)
        return self.run_once(lambda: self._replay(row))

    def _replay(self, row: WebhookDelivery) -> Response:
        again = webhook_replay.replay_delivery(delivery=row)
        return Response(serializers.WebhookDeliveryView(again).data, status=status.HTTP_202_ACCEPTED)

"""Sending, and what became of it."""

from __future__ import annotations

import random
import time
import uuid
from typing import Any

from django.conf import settings
from django.db import OperationalError, transaction
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from psycopg.errors import DeadlockDetected
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import HasScope, IsMember, TenantAPIView
from castcomm.common.errors import CastCommError, InvalidInput, NotFound
from notifications import selectors
from notifications.api import serializers
from notifications.api.inbox_views import list_inbox
from notifications.models import Notification
from notifications.services.deliveries import cancel_notification, retry_notification
from notifications.services.explain import explain_notification
from notifications.services.explaining.reach import would_reach
from notifications.services.sending import SendResult, send_notification

MAX_BULK = 1_000
BULK_TRIES = 5
IDEMPOTENCY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key with the same body acts once in 24 h.",
)


def send_answer(result: SendResult) -> dict[str, Any]:
    """A SendResult as JSON."""
    return {
        "request_id": str(result.request_id),
        "duplicate": result.duplicate,
        "recipient_count": result.recipient_count,
        "notifications": [{"id": str(one.id), "recipient": one.recipient} for one in result.notifications],
    }


class NotificationsView(TenantAPIView):
    """``POST`` sends; ``GET`` is the caller's inbox."""

    max_body_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    def get_permissions(self) -> list[Any]:
        return [HasScope("notifications:send")()] if self.request.method == "POST" else [IsMember()]

    @extend_schema(
        parameters=[
            *(OpenApiParameter(name, bool) for name in ("read", "seen", "archived")),
            OpenApiParameter("category", str),
            OpenApiParameter(
                "since_seq", int, description="Only what changed after this number, oldest first."
            ),
            OpenApiParameter("limit", int),
            OpenApiParameter("cursor", str),
        ],
        responses=serializers.InboxRow(many=True),
    )
    def get(self, request: Request) -> Response:
        return list_inbox(self, request)

    @extend_schema(
        request=serializers.SendRequest, responses={202: serializers.SendAnswer}, parameters=[IDEMPOTENCY]
    )
    def post(self, request: Request) -> Response:
        return self.run_once(lambda: self._send(request))

    def _send(self, request: Request) -> Response:
        asked = serializers.SendRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        result = send_notification(organization=self.organization, source="api", **asked.validated_data)
        return Response(send_answer(result), status=status.HTTP_202_ACCEPTED)


class BulkView(TenantAPIView):
    """Several different sends in one call. One that is wrong refuses them all."""

    permission_classes = [HasScope("notifications:send")]
    max_body_bytes = settings.DATA_UPLOAD_MAX_MEMORY_SIZE

    @extend_schema(
        request=serializers.BulkRequest,
        responses={202: serializers.SendAnswer(many=True)},
        parameters=[IDEMPOTENCY],
    )
    def post(self, request: Request) -> Response:
        return self.run_once(lambda: self._send_all(request))

    def _send_all(self, request: Request) -> Response:
        asked = serializers.BulkRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        sends = asked.validated_data["notifications"]
        if len(sends) > MAX_BULK:
            raise InvalidInput(f"At most {MAX_BULK} sends in one call.", attr="notifications")
        results = self._in_one_transaction(sends)
        return Response({"results": [send_answer(one) for one in results]}, status=status.HTTP_202_ACCEPTED)

    def _in_one_transaction(self, sends: list[dict[str, Any]]) -> list[SendResult]:
        """All of them or none. Two calls that name the same people in another order may wait for each other:

        the database ends one of them, which has then written nothing and begins again.
        """
        for _ in range(BULK_TRIES - 1):
            try:
                with transaction.atomic():
                    return [self._send(position, one) for position, one in enumerate(sends)]
            except OperationalError as error:
                if not isinstance(error.__cause__, DeadlockDetected):
                    raise
                time.sleep(random.uniform(0, 0.2))  # noqa: S311 - keeps two calls apart, guards no secret
        with transaction.atomic():
            return [self._send(position, one) for position, one in enumerate(sends)]

    def _send(self, position: int, one: dict[str, Any]) -> SendResult:
        try:
            return send_notification(organization=self.organization, source="api", **one)
        except CastCommError as error:
            prefix = f"notifications.{position}"
            error.attr = f"{prefix}.{error.attr}" if error.attr else prefix
            raise


class NotificationView(TenantAPIView):
    """One notification: its inbox form for the recipient, its ledger for staff; ``DELETE`` cancels."""

    def get_permissions(self) -> list[Any]:
        if self.request.method == "DELETE":
            return [HasScope("notifications:send")()]
        return [(IsMember | HasScope("notifications:read"))()]

    @extend_schema(responses=OpenApiResponse(description="The notification with its deliveries."))
    def get(self, request: Request, notification_id: str) -> Response:
        return Response(_explained(self, notification_id))

    @extend_schema(
        request=None, responses=OpenApiResponse(description="What was stopped, and what was too late.")
    )
    def delete(self, request: Request, notification_id: str) -> Response:
        result = cancel_notification(
            organization=self.organization, notification_id=uuid.UUID(notification_id)
        )
        return Response({"stopped": result.stopped, "too_late": result.too_late})


def find_visible(view: TenantAPIView, notification_id: str) -> Notification:
    """The caller's own notification, or any of the organization for staff and keys; raises NotFound."""
    rows = selectors.notifications_with_ledger(view.organization.id).filter(id=uuid.UUID(notification_id))
    if not view.tenant.has_scope("notifications:read"):
        rows = rows.filter(user=view.user)
    found = rows.first()
    if found is None:
        raise NotFound("There is no such notification.")
    return found


def _explained(view: TenantAPIView, notification_id: str) -> dict[str, Any]:
    """The ledger of a notification that the caller may see, with what providers said only for staff and keys."""
    return explain_notification(
        notification_id=find_visible(view, notification_id).id,
        organization=view.organization,
        with_details=view.tenant.has_scope("notifications:read"),
    )


class StatusView(TenantAPIView):
    """The state of each delivery, short."""

    permission_classes = [IsMember | HasScope("notifications:read")]

    @extend_schema(responses=OpenApiResponse(description="Channel and status of each delivery."))
    def get(self, request: Request, notification_id: str) -> Response:
        found = find_visible(self, notification_id)
        deliveries = [
            {
                "channel": one.channel,
                "status": one.status,
                "reason": one.reason,
                "attempts": one.attempt_count,
                "due_at": one.due_at,
                "sent_at": one.sent_at,
            }
            for one in found.deliveries.all()
        ]
        return Response({"id": str(found.id), "deliveries": deliveries})


class ExplainView(TenantAPIView):
    """Why each channel was or was not used."""

    permission_classes = [IsMember | HasScope("notifications:read")]

    @extend_schema(responses=OpenApiResponse(description="Decisions, attempts and reasons for each channel."))
    def get(self, request: Request, notification_id: str) -> Response:
        return Response(_explained(self, notification_id))


class RetryView(TenantAPIView):
    """Put what failed back into the queue. What may have arrived is left as it is, unless asked for."""

    permission_classes = [HasScope("notifications:send")]

    @extend_schema(
        request=serializers.Retry,
        responses={
            202: OpenApiResponse(description="The channels that are tried again."),
            409: OpenApiResponse(
                description="`nothing_to_retry`, or `outcome_unknown`: it may have arrived, and is sent again "
                "only with `even_if_unknown`."
            ),
        },
    )
    def post(self, request: Request, notification_id: str) -> Response:
        asked = serializers.Retry(data=request.data)
        asked.is_valid(raise_exception=True)
        channels = retry_notification(
            organization=self.organization, notification_id=uuid.UUID(notification_id), **asked.validated_data
        )
        return Response({"requeued": channels}, status=status.HTTP_202_ACCEPTED)


class PreviewRoutingView(TenantAPIView):
    """Would this person get it, now, and why. Nothing is written."""

    permission_classes = [HasScope("notifications:read")]

    @extend_schema(
        request=serializers.RoutingQuestion,
        responses=OpenApiResponse(description="A decision for each channel."),
    )
    def post(self, request: Request) -> Response:
        asked = serializers.RoutingQuestion(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response({"decisions": would_reach(organization=self.organization, **asked.validated_data)})

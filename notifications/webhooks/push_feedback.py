"""``POST /webhooks/push/feedback``: what a company's apps know of a push, relayed by its own server with an API key.

Push services report nothing of this kind to a sender: neither Firebase nor RFC 8030 tells that a person saw a message.
The delivery's id travels in each push; the app hands it back.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.tenancy import HasScope, TenantAPIView
from castcomm.common.api.serializers import StrictSerializer
from castcomm.common.clock import now as current_time
from castcomm.common.errors import NotFound
from notifications.models import Delivery
from notifications.services.receipts import record_receipts
from notifications.vocabulary import Channel, ReceiptKind
from notifications.webhooks.base import Receipt, digest_of

MAX_EVENTS = 1000
PROVIDER = "app"
KINDS = (ReceiptKind.DELIVERED, ReceiptKind.OPENED, ReceiptKind.CLICKED)
_AHEAD = dt.timedelta(minutes=5)


class PushEvent(StrictSerializer):
    """``id`` tells events apart; without it a delivery has one event of each kind."""

    delivery = serializers.UUIDField()
    event = serializers.ChoiceField(choices=[kind.value for kind in KINDS])
    id = serializers.CharField(max_length=100, required=False, default="")
    occurred_at = serializers.DateTimeField(required=False, default=None)

    def validate_occurred_at(self, moment: dt.datetime | None) -> dt.datetime | None:
        if moment is not None and moment > current_time() + _AHEAD:
            raise serializers.ValidationError("This moment is still to come.")
        return moment


class PushEvents(StrictSerializer):
    events = serializers.ListField(child=PushEvent(), allow_empty=False, max_length=MAX_EVENTS)


class PushFeedbackView(TenantAPIView):
    """Needs the scope ``events:write``. A delivery that is not the organization's, or no push, is 404 for all."""

    schema = None  # a webhook, and no part of the API

    def get_permissions(self) -> list[Any]:
        return [HasScope("events:write")()]

    def post(self, request: Request) -> Response:
        asked = PushEvents(data=request.data)
        asked.is_valid(raise_exception=True)
        told: Sequence[Mapping[str, Any]] = asked.validated_data["events"]
        self._check_owned({one["delivery"] for one in told})
        done = record_receipts([_receipt(self.organization.id, one) for one in told])
        return Response({"new": done.new, "duplicates": done.duplicates})

    def _check_owned(self, wanted: set[uuid.UUID]) -> None:
        rows = Delivery.objects.for_organization(self.organization)
        found = rows.filter(id__in=wanted, channel=Channel.PUSH).values_list("id", flat=True)
        missing = wanted.difference(found)
        if missing:
            raise NotFound(f"There is no push {min(missing)}.")


def _receipt(organization_id: uuid.UUID, told: Mapping[str, Any]) -> Receipt:
    name = told["id"] or digest_of(told["delivery"], told["event"])
    return Receipt(
        provider=PROVIDER,
        account="",
        event_key=f"{organization_id}:{name}",
        kind=ReceiptKind(told["event"]),
        occurred_at=told["occurred_at"] or current_time(),
        delivery_id=told["delivery"],
        payload={"delivery": str(told["delivery"]), "event": told["event"], "id": told["id"]},
    )

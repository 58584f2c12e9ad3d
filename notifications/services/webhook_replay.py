"""Telling again what an endpoint missed, or has lost: the same messages, under the same ``webhook-id``."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from castcomm.common.clock import now as current_time
from castcomm.common.errors import Conflict, InvalidInput
from notifications.models import WebhookDelivery, WebhookEndpoint, WebhookStatus
from notifications.services import doorbell, webhook_outbox


def replay_delivery(*, delivery: WebhookDelivery) -> WebhookDelivery:
    """Make one delivery again, whatever became of it, with all its tries.

    Raises Conflict while the endpoint is off, or while the delivery is still on its way.
    """
    _refuse_inactive(delivery.endpoint)
    with transaction.atomic():
        settled = WebhookDelivery.objects.filter(id=delivery.id).exclude(status=WebhookStatus.PENDING)
        if not webhook_outbox.make_due(settled):
            raise Conflict("It is still on its way.", code="pending")
        transaction.on_commit(doorbell.ring_webhooks)
    delivery.refresh_from_db()
    return delivery


def replay_endpoint(*, endpoint: WebhookEndpoint, since: dt.datetime, delivered: bool = False) -> int:
    """Make again what has failed since ``since`` (aware), with ``delivered`` also what arrived; returns how many.

    Raises InvalidInput for a moment that lies ahead, or Conflict while the endpoint is off. Messages are kept for
    30 days; of what happened while it was off there are none.
    """
    _refuse_inactive(endpoint)
    if since > current_time():
        raise InvalidInput("This moment lies ahead.", attr="since")
    wanted = [WebhookStatus.FAILED, *([WebhookStatus.DELIVERED] if delivered else [])]
    with transaction.atomic():
        rows = WebhookDelivery.objects.filter(endpoint=endpoint, created_at__gte=since, status__in=wanted)
        count = webhook_outbox.make_due(rows)
        if count:
            transaction.on_commit(doorbell.ring_webhooks)
    return count


def _refuse_inactive(endpoint: WebhookEndpoint) -> None:
    if not endpoint.is_active:
        raise Conflict("This endpoint is switched off; switch it on first.", code="endpoint_off")

"""What staff and callers may do with a delivery that has not gone out, or that failed."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, JSONField, Value
from django.db.models.expressions import CombinedExpression

from accounts.models import Organization
from castcomm.common.clock import now as current_time
from castcomm.common.errors import Conflict, NotFound
from notifications.models import Delivery, Notification, NotificationRequest, RequestStatus
from notifications.services import doorbell
from notifications.services.audiences.parts import stop_writing
from notifications.vocabulary import CANCELLABLE, FAILED, REQUEUABLE, Channel, DeliveryStatus, Reason


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What a cancel really stopped, and what was already on its way."""

    stopped: list[str]
    too_late: list[str]


def cancel_notification(*, organization: Organization, notification_id: uuid.UUID) -> Cancelled:
    """Stop what has not gone out; raises NotFound, or Conflict when nothing could be stopped any more.

    What a worker is trying at this moment is too late; but if it fails, it is not tried again.
    """
    with transaction.atomic():
        found = (
            Notification.objects.for_organization(organization)
            .select_for_update()
            .filter(id=notification_id)
            .first()
        )
        if found is None:
            raise NotFound("There is no such notification.")
        result, is_tried = _cancel_deliveries(found)
        if not result.stopped and not is_tried:
            raise Conflict("Nothing of it can be stopped any more.", code="too_late")
        found.cancelled_at = current_time()
        found.save(update_fields=["cancelled_at"])
    return result


def _cancel_deliveries(notification: Notification) -> tuple[Cancelled, bool]:
    """What was stopped, and whether a worker has another one in its hands."""
    rows = list(notification.deliveries.select_for_update().order_by("channel"))
    waiting = [row for row in rows if row.status in CANCELLABLE]
    Delivery.objects.filter(id__in=[row.id for row in waiting]).update(
        status=DeliveryStatus.CANCELLED, reason=Reason.CANCELLED, settled_at=current_time()
    )
    stopped = {row.id for row in waiting}
    quiet = (DeliveryStatus.SUPPRESSED, DeliveryStatus.CANCELLED, DeliveryStatus.FAILED, DeliveryStatus.DEAD)
    late = [row.channel for row in rows if row.id not in stopped and row.status not in quiet]
    is_tried = any(row.status == DeliveryStatus.SENDING for row in rows)
    return Cancelled([row.channel for row in waiting], late), is_tried


def cancel_request(*, organization: Organization, request_id: uuid.UUID) -> int:
    """Stop everything of one call that has not gone out; returns how many deliveries were stopped."""
    with transaction.atomic():
        request = (
            NotificationRequest.objects.for_organization(organization)
            .select_for_update()
            .filter(id=request_id)
            .first()
        )
        if request is None:
            raise NotFound("There is no such request.")
        stop_writing(request)
        moment = current_time()
        # In the order in which ``cancel_notification`` takes them, and each before its deliveries.
        rows = Notification.objects.filter(request=request).order_by("id")
        len(rows.select_for_update(no_key=True).values_list("id"))
        waiting = Delivery.objects.filter(notification__request=request, status__in=CANCELLABLE)
        stopped = waiting.update(status=DeliveryStatus.CANCELLED, reason=Reason.CANCELLED, settled_at=moment)
        # What a worker is trying at this moment is not tried again.
        Notification.objects.filter(request=request, cancelled_at=None).update(cancelled_at=moment)
        request.status = RequestStatus.CANCELLED
        request.save(update_fields=["status"])
    return stopped


def retry_notification(
    *, organization: Organization, notification_id: uuid.UUID, even_if_unknown: bool = False
) -> list[str]:
    """Put failed and dead deliveries back into the queue; returns their channels.

    Those of which nobody knows may have arrived: they go out again ``even_if_unknown`` alone. Raises NotFound, or
    Conflict when there is nothing to retry.
    """
    rows = Delivery.objects.for_organization(organization).filter(notification_id=notification_id)
    if not rows.exists():
        raise NotFound("There is no such notification.")
    requeued = requeue(
        list(rows.values_list("id", flat=True)), states=REQUEUABLE if even_if_unknown else FAILED
    )
    if not requeued and rows.filter(status=DeliveryStatus.UNKNOWN).exists():
        raise Conflict(
            "Nobody knows whether it arrived; with even_if_unknown it is sent again, perhaps twice.",
            code="outcome_unknown",
        )
    if not requeued:
        raise Conflict("Nothing of it has failed.", code="nothing_to_retry")
    return [channel for _, channel in requeued]


def requeue(
    delivery_ids: list[uuid.UUID], *, states: Sequence[DeliveryStatus] = FAILED
) -> list[tuple[uuid.UUID, str]]:
    """Make those of these deliveries due now, with fresh attempts, that are in one of ``states``; returns
    (id, channel)."""
    with transaction.atomic():
        rows = list(
            Delivery.objects.select_for_update(of=("self",))
            .filter(id__in=delivery_ids, status__in=states, notification__cancelled_at=None)
            .order_by("id")
        )
        Delivery.objects.filter(id__in=[row.id for row in rows]).update(
            status=DeliveryStatus.PENDING,
            reason=Reason.RETRYING,
            due_at=current_time(),
            settled_at=None,
            error="",
            attempts_forgiven=F("attempt_count"),
        )
        pairs = {(row.channel, row.priority) for row in rows}
        for channel, priority in sorted(pairs):
            transaction.on_commit(functools.partial(doorbell.ring, channel, priority))
    return [(row.id, str(Channel(row.channel))) for row in rows]


def cancel_deliveries(delivery_ids: list[uuid.UUID]) -> list[tuple[uuid.UUID, str]]:
    """Stop those of these deliveries that wait; the other channels go on. Returns (id, channel)."""
    with transaction.atomic():
        rows = list(
            Delivery.objects.select_for_update()
            .filter(id__in=delivery_ids, status__in=CANCELLABLE)
            .order_by("id")
        )
        Delivery.objects.filter(id__in=[row.id for row in rows]).update(
            status=DeliveryStatus.CANCELLED, reason=Reason.CANCELLED, settled_at=current_time()
        )
    return [(row.id, str(Channel(row.channel))) for row in rows]


def resolve_unknown(
    delivery_ids: list[uuid.UUID], *, sent: bool, by: str = ""
) -> list[tuple[uuid.UUID, str]]:
    """Say what became of deliveries of which nobody knew: ``sent``, or not, in which case they go out again.

    Only those that are ``unknown`` change; returns their (id, channel). ``by`` names who said so; that is kept in
    the decision, where *explain* finds it.
    """
    moment = current_time()
    with transaction.atomic():
        rows = Delivery.objects.select_for_update().filter(id__in=delivery_ids, status=DeliveryStatus.UNKNOWN)
        found = [(row.id, str(Channel(row.channel))) for row in rows.order_by("id")]
        ids = [id_ for id_, _ in found]
        said = {"resolved": {"sent": sent, "by": by, "at": moment.isoformat()}}
        Delivery.objects.filter(id__in=ids).update(
            decision=CombinedExpression(F("decision"), "||", Value(said, output_field=JSONField()))
        )
        if not sent:
            return requeue(ids, states=REQUEUABLE)
        Delivery.objects.filter(id__in=ids).update(
            status=DeliveryStatus.SENT, reason=Reason.ACCEPTED, sent_at=moment, settled_at=moment, error=""
        )
    return found

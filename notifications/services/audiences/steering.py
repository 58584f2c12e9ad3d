"""Pausing, resuming and cancelling a broadcast, and telling how far it is."""

from __future__ import annotations

import datetime as dt
import functools
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from accounts.models import Organization
from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.errors import Conflict, NotFound
from notifications.models import Broadcast, BroadcastPhase, FanoutChunk, RequestStatus
from notifications.services import doorbell
from notifications.services.deliveries import cancel_request
from notifications.vocabulary import WAITING, DeliveryStatus

WINDOW = dt.timedelta(seconds=30)  # over which the present speed is measured
ENDED = (RequestStatus.DONE, RequestStatus.INCOMPLETE)

# What a worker has in its hands is not touched: it goes on, and so does a later try of it.
_HOLD = """
WITH held AS (
  UPDATE notifications_delivery d SET status = 'paused', reason = 'paused'
    FROM notifications_notification n
   WHERE n.request_id = %(request)s AND d.notification_id = n.id AND d.status IN ('pending', 'deferred')
  RETURNING d.channel
)
SELECT channel, count(*) FROM held GROUP BY channel
"""

# The reason that routing gave is that for which it waited.
_LET_GO = """
WITH free AS (
  UPDATE notifications_delivery d
     SET status = CASE WHEN d.due_at > %(now)s THEN 'deferred' ELSE 'pending' END,
         reason = coalesce(d.decision->>'reason', 'default')
    FROM notifications_notification n
   WHERE n.request_id = %(request)s AND d.notification_id = n.id AND d.status = 'paused'
     AND n.cancelled_at IS NULL
  RETURNING d.channel
)
SELECT channel, count(*) FROM free GROUP BY channel
"""


def pause_broadcast(
    *, organization: Organization, broadcast_id: uuid.UUID, by: uuid.UUID | None = None
) -> int:
    """Write no further part, and hold what waits to be sent; returns how many deliveries are held.

    ``by`` is the user who did it. Raises NotFound, or Conflict when it is paused or over.
    """
    with transaction.atomic():
        broadcast = _locked(organization, broadcast_id)
        request = broadcast.request
        if request.status in (RequestStatus.PAUSED, RequestStatus.CANCELLED):
            raise Conflict(f"This broadcast is {request.status} already.", code=request.status)
        held = sql.run(_HOLD, {"request": request.id})
        if not held and request.status in ENDED:
            raise Conflict("All of it is on its way already.", code="too_late")
        request.status = RequestStatus.PAUSED
        request.save(update_fields=["status"])
        broadcast.paused_at, broadcast.paused_by_id = current_time(), by
        broadcast.save(update_fields=["paused_at", "paused_by"])
    return sum(count for _, count in held)


def resume_broadcast(*, organization: Organization, broadcast_id: uuid.UUID) -> int:
    """Go on where it was paused, or where it stopped incomplete; returns how many deliveries go on.

    What has become due meanwhile goes out at once. Raises NotFound, or Conflict when there is nothing to go on with.
    """
    with transaction.atomic():
        broadcast = _locked(organization, broadcast_id)
        request = broadcast.request
        if request.status not in (RequestStatus.PAUSED, RequestStatus.INCOMPLETE):
            raise Conflict("This broadcast is not paused.", code="not_paused")
        if broadcast.phase != BroadcastPhase.FINISHED:
            broadcast.finished_at = None
        broadcast.paused_at = broadcast.paused_by = broadcast.lease_until = None
        broadcast.tries = 0
        broadcast.save(update_fields=["paused_at", "paused_by", "lease_until", "tries", "finished_at"])
        chunks = FanoutChunk.objects.filter(request=request)
        chunks.update(tries=0, lease_until=None)
        is_whole = broadcast.finished_at is not None and not chunks.exists()
        request.status = RequestStatus.DONE if is_whole else RequestStatus.FANNING_OUT
        request.save(update_fields=["status"])
        free = sql.run(_LET_GO, {"request": request.id, "now": current_time()})
        for channel, _ in free:
            transaction.on_commit(functools.partial(doorbell.ring, channel, request.priority))
        transaction.on_commit(doorbell.ring_fanout)
    return sum(count for _, count in free)


def cancel_broadcast(*, organization: Organization, broadcast_id: uuid.UUID) -> int:
    """Write nothing more and stop what has not gone out; returns how many deliveries were stopped.

    Raises NotFound, or Conflict when it was cancelled before.
    """
    broadcast = find_broadcast(organization, broadcast_id)
    if broadcast.request.status == RequestStatus.CANCELLED:
        raise Conflict("This broadcast is cancelled already.", code=RequestStatus.CANCELLED)
    return cancel_request(organization=organization, request_id=broadcast.request_id)


def find_broadcast(organization: Organization, broadcast_id: uuid.UUID) -> Broadcast:
    """The broadcast with its request; raises NotFound."""
    rows = Broadcast.objects.for_organization(organization).select_related("request__event_type")
    found: Broadcast | None = rows.filter(id=broadcast_id).first()
    if found is None:
        raise NotFound("There is no such broadcast.")
    return found


def _locked(organization: Organization, broadcast_id: uuid.UUID) -> Broadcast:
    """The broadcast and its request, locked: the part that a worker is writing is awaited."""
    rows = Broadcast.objects.for_organization(organization).select_for_update(
        of=("self", "request"), no_key=True
    )
    found: Broadcast | None = rows.select_related("request").filter(id=broadcast_id).first()
    if found is None:
        raise NotFound("There is no such broadcast.")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a broadcast is. ``deliveries`` counts by channel and status; the rates are per second, of late."""

    status: str
    written: int
    total: int
    deliveries: dict[str, dict[str, int]] = field(default_factory=dict)
    write_rate: float = 0.0
    send_rate: float = 0.0

    @property
    def percent(self) -> int:
        """Of the recipients, how many have their notification: 100 when nothing more will be written."""
        if self.status == RequestStatus.DONE or not self.total:
            return 100
        return min(99, self.written * 100 // self.total)

    @property
    def waiting(self) -> int:
        """Deliveries that are written and have not gone out."""
        states = (*WAITING, DeliveryStatus.SENDING)
        return sum(counts.get(state, 0) for counts in self.deliveries.values() for state in states)

    @property
    def seconds_left(self) -> float | None:
        """Until all is written and sent, at the present speed; None when nothing moves, or nothing is left."""
        to_write = max(0, self.total - self.written) if self.status == RequestStatus.FANNING_OUT else 0
        if self.status == RequestStatus.PAUSED or not (to_write or self.waiting):
            return None
        if (to_write and not self.write_rate) or (self.waiting and not self.send_rate):
            return None
        to_send = self.waiting * (1 + to_write / max(1, self.written)) if self.waiting else 0.0
        return max(
            to_write / self.write_rate if to_write else 0.0, to_send / self.send_rate if to_send else 0.0
        )


_STATES = """
SELECT d.channel, d.status, count(*), count(*) FILTER (WHERE d.sent_at > %(recent)s)
  FROM notifications_notification n JOIN notifications_delivery d ON d.notification_id = n.id
 WHERE n.request_id = %(request)s GROUP BY d.channel, d.status ORDER BY d.channel, d.status
"""
_RECENT = """
SELECT count(*) FROM notifications_notification WHERE request_id = %(request)s AND created_at > %(recent)s
"""


def progress_of(broadcast: Broadcast) -> Progress:
    """How far it is now; reads all its deliveries."""
    moment = current_time()
    window = min(WINDOW, max(moment - broadcast.created_at, dt.timedelta(seconds=1)))
    params: dict[str, Any] = {"request": broadcast.request_id, "recent": moment - window}
    deliveries: dict[str, dict[str, int]] = {}
    sent = 0
    for channel, status, count, recently in sql.run(_STATES, params):
        deliveries.setdefault(channel, {})[status] = count
        sent += recently
    written = sql.run(_RECENT, params)[0][0]
    return Progress(
        status=broadcast.request.status,
        written=broadcast.written,
        total=broadcast.total,
        deliveries=deliveries,
        write_rate=written / window.total_seconds(),
        send_rate=sent / window.total_seconds(),
    )

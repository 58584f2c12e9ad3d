"""What chunks of recipients and parts of broadcasts have in common: trying one, waiting after a failure, the end."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable

import structlog
from django.db.models import Q

from castcomm.common.clock import now as current_time
from notifications.models import (
    Broadcast,
    BroadcastPhase,
    FanoutChunk,
    NotificationRequest,
    RequestStatus,
)

TRY_AGAIN = dt.timedelta(minutes=1)
MAX_TRIES = 30

log = structlog.get_logger(__name__)


def free() -> Q:
    """What can be tried now: not given up, and not waiting after a failure."""
    return Q(tries__lt=MAX_TRIES) & (Q(lease_until=None) | Q(lease_until__lt=current_time()))


def try_one(write: Callable[[list[uuid.UUID]], bool], *, put_off: Callable[[uuid.UUID], None]) -> bool:
    """Run ``write``, which puts the id of what it took into the list and says whether there was anything to take.

    What it fails of is logged and handed to ``put_off``: one that cannot be written must stop no other.
    """
    taken: list[uuid.UUID] = []
    try:
        return write(taken)
    except Exception:  # whatever a text, a person's data or the database made of it
        if not taken:
            raise
        log.exception("fanout.failed", taken=str(taken[0]))
        put_off(taken[0])
        return True


def count_failure(row: FanoutChunk | Broadcast) -> bool:
    """Let a row that failed wait; whether it has now failed too often. It is locked."""
    row.tries += 1
    row.lease_until = current_time() + TRY_AGAIN
    row.save(update_fields=["tries", "lease_until"])
    is_over = row.tries >= MAX_TRIES
    if is_over:
        log.error("fanout.given_up", request=str(row.request_id), taken=str(row.id))
    return is_over


def finish(request: NotificationRequest) -> None:
    """Tell the request that it is at its end, if it is. It is locked."""
    chunks = FanoutChunk.objects.filter(request=request)
    broadcast = Broadcast.objects.filter(request=request).first()
    if chunks.filter(tries__lt=MAX_TRIES).exists() or (broadcast and broadcast.finished_at is None):
        return
    is_whole = not chunks.exists() and (broadcast is None or broadcast.phase == BroadcastPhase.FINISHED)
    NotificationRequest.objects.filter(id=request.id, status=RequestStatus.FANNING_OUT).update(
        status=RequestStatus.DONE if is_whole else RequestStatus.INCOMPLETE
    )


def stop_writing(request: NotificationRequest) -> None:
    """What has not been written of a request never will be. It is locked."""
    FanoutChunk.objects.filter(request=request).delete()
    Broadcast.objects.filter(request=request, finished_at=None).update(finished_at=current_time())


def drop(request: NotificationRequest) -> None:
    """Nothing goes out any more for an organization that was switched off."""
    stop_writing(request)
    NotificationRequest.objects.filter(id=request.id).update(status=RequestStatus.CANCELLED)
    log.warning("fanout.dropped", request=str(request.id), organization=str(request.organization_id))

"""Broadcasts: a request to groups, written a part at a time by workers, without a list of whom it reaches.

A part is written and the place in the audience moved on in one transaction, under a lock on the broadcast and its
request: a worker that dies leaves the part to the next one, nobody is missed, and nobody gets it twice. A part that
fails waits and is tried again, and in the end the broadcast stops there, incomplete.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from django.db import transaction
from django.db.models import QuerySet

from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.ids import new_id
from notifications.models import Broadcast, BroadcastPhase, NotificationRequest, RequestStatus
from notifications.services.audiences.groups import Audience, Group
from notifications.services.audiences.parts import count_failure, drop, finish, free, try_one
from notifications.services.planning import Message
from notifications.services.recipients import Reference
from notifications.services.writing import write_part
from notifications.vocabulary import Channel

PART = 1_000  # recipients written in one transaction
# So many of an organization's messages may wait on a channel at a priority; more are written when they went out. What
# waits for a limit per minute is due again within the horizon.
ENOUGH_WAITING = 5_000
HORIZON = dt.timedelta(minutes=10)
LOOK_AGAIN = dt.timedelta(seconds=2)
EXTERNAL = (Channel.EMAIL.value, Channel.SMS.value, Channel.PUSH.value)


def store(message: Message, groups: Sequence[Group], *, total: int, named: int) -> Broadcast:
    """Write down a broadcast for a request that was just written; ``named`` recipients were given besides."""
    audience = [group.stored for group in groups]
    if named:
        audience.append({"recipients": named})
    return Broadcast.objects.create(
        id=new_id(),
        organization_id=message.organization_id,
        request_id=message.request_id,
        audience=audience,
        total=total,
    )


def audience_of(broadcast: Broadcast, request: NotificationRequest) -> Audience:
    """Whom it goes to, as of when it was accepted."""
    groups = [one for one in broadcast.audience if "recipients" not in one]
    return Audience(broadcast.organization_id, groups, request.created_at)


def is_waiting() -> bool:
    """Whether there is a broadcast of which a part could be written now."""
    return _waiting().exists()


def _waiting() -> QuerySet[Broadcast]:
    return Broadcast.objects.filter(free(), finished_at=None, request__status=RequestStatus.FANNING_OUT)


def run_next() -> bool:
    """Write the next part of a broadcast that nobody holds; False when there is none.

    The most urgent goes first, and of these the one that got least far: a large one lets small ones pass.
    """
    return try_one(_run_one, put_off=_put_off)


def _run_one(taken: list[uuid.UUID]) -> bool:
    with transaction.atomic():
        broadcast = (
            _waiting()
            .select_for_update(skip_locked=True, of=("self", "request"), no_key=True)
            .select_related("request__organization")
            .order_by("request__priority", "written", "created_at")
            .first()
        )
        if broadcast is None:
            return False
        taken.append(broadcast.id)
        request = broadcast.request
        if not request.organization.is_active:
            drop(request)
        elif _is_backed_up(request):
            Broadcast.objects.filter(id=broadcast.id).update(lease_until=current_time() + LOOK_AGAIN)
        else:
            _write_part(broadcast, request)
    return True


def _write_part(broadcast: Broadcast, request: NotificationRequest) -> None:
    audience = audience_of(broadcast, request)
    if broadcast.phase == BroadcastPhase.PEOPLE:
        _write_people(broadcast, request, audience)
    else:
        _write_addresses(broadcast, request, audience)
    broadcast.lease_until, broadcast.tries = None, 0
    broadcast.save(update_fields=["phase", "after", "written", "finished_at", "lease_until", "tries"])
    if broadcast.finished_at is not None:
        finish(request)


def _write_people(broadcast: Broadcast, request: NotificationRequest, audience: Audience) -> None:
    after = uuid.UUID(broadcast.after) if broadcast.after else None
    ids, last = audience.people_after(after, PART)
    references = [Reference(position, user_id=user_id) for position, user_id in enumerate(ids)]
    broadcast.written += write_part(request, references, skip_users=_names_others(broadcast))
    broadcast.after = str(last) if last else ""
    if last is None:
        broadcast.phase = BroadcastPhase.ADDRESSES


def _write_addresses(broadcast: Broadcast, request: NotificationRequest, audience: Audience) -> None:
    addresses, last = audience.addresses_after(broadcast.after, PART)
    references = [
        Reference(position, email=one) if "@" in one else Reference(position, phone=one)
        for position, one in enumerate(addresses)
    ]
    # An address can be that of a member who was reached as one.
    broadcast.written += write_part(request, references, skip_addresses=_names_others(broadcast))
    broadcast.after = last or ""
    if last is None:
        broadcast.phase, broadcast.finished_at = BroadcastPhase.FINISHED, current_time()


def _names_others(broadcast: Broadcast) -> bool:
    """Whether the call named people or addresses besides the groups, which are written on their own."""
    return any("recipients" in one for one in broadcast.audience)


_BACKED_UP = """
SELECT EXISTS (
  SELECT 1 FROM unnest(%(channels)s::text[]) AS c(channel)
   WHERE (SELECT count(*) FROM (
            SELECT 1 FROM notifications_delivery d
             WHERE d.channel = c.channel AND d.priority = %(priority)s AND d.organization_id = %(organization)s
               AND d.status IN ('pending', 'deferred') AND d.due_at <= %(until)s
             LIMIT %(enough)s) AS waiting) >= %(enough)s)
"""


def _is_backed_up(request: NotificationRequest) -> bool:
    """Whether so much waits to be sent that writing more would serve nobody, and take a pause its meaning."""
    rows = sql.run(
        _BACKED_UP,
        {
            "channels": list(EXTERNAL),
            "priority": request.priority,
            "organization": request.organization_id,
            "until": current_time() + HORIZON,
            "enough": ENOUGH_WAITING,
        },
    )
    return bool(rows[0][0])


def _put_off(broadcast_id: uuid.UUID) -> None:
    """Let a part that failed wait; after ``MAX_TRIES`` the broadcast stops there, and its request says so."""
    with transaction.atomic():
        rows = Broadcast.objects.select_for_update(of=("self", "request"), no_key=True)
        broadcast = rows.select_related("request").filter(id=broadcast_id, finished_at=None).first()
        if broadcast is not None and count_failure(broadcast):
            broadcast.finished_at = current_time()
            broadcast.save(update_fields=["finished_at"])
            finish(broadcast.request)

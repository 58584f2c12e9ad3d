"""Large audiences: accepted as chunks in one transaction, turned into notifications by workers.

Groups are not split into chunks: see ``audiences.broadcasts``, whose parts the same workers write.

A chunk is locked, written and deleted in one transaction: a worker that dies leaves it to the next one, and
nobody is notified twice. Its request is locked with it, so that one worker at a time writes an audience: a person
named in two chunks is seen, and the last chunk knows that it is the last.
A chunk that fails is tried again later, and given up in the end.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from notifications.models import Broadcast, FanoutChunk, NotificationRequest, RequestStatus
from notifications.services import doorbell, ledger
from notifications.services.audiences import broadcasts
from notifications.services.audiences.groups import Audience, Group
from notifications.services.audiences.parts import count_failure, drop, finish, free, try_one
from notifications.services.planning import Message
from notifications.services.recipients import Reference
from notifications.services.writing import write_part

FIRST_CHUNK = 64  # the sooner it is written, the sooner a second worker has something to send
CHUNK = 250  # small enough that sending goes on while the rest is still being written


def accept(
    message: Message,
    references: Sequence[Reference],
    groups: Sequence[Group] = (),
    *,
    data: str,
    content: Mapping[str, Any] | None,
) -> int | None:
    """Store the request with its chunks and, for groups, its broadcast; returns how many recipients it has.

    None when its idempotency key was used before.
    """
    unique = _unique(references)
    _check_members(message.organization_id, unique)
    audience = Audience(message.organization_id, [group.stored for group in groups], message.now)
    total = audience.count()
    count = len(unique) + total
    with transaction.atomic():
        if not ledger.write_request(message, data=data, content=content, recipient_count=count):
            return None
        if groups:
            broadcasts.store(message, groups, total=total, named=len(unique))
        _store_chunks(message.request_id, unique)
        transaction.on_commit(doorbell.ring_fanout)
    return count


def _store_chunks(request_id: uuid.UUID, references: Sequence[Reference]) -> None:
    starts = [0, *range(FIRST_CHUNK, len(references), CHUNK)] if references else []
    FanoutChunk.objects.bulk_create(
        FanoutChunk(
            request_id=request_id,
            position=position,
            recipients=[_stored(ref) for ref in references[start:end]],
        )
        for position, (start, end) in enumerate(zip(starts, [*starts[1:], len(references)], strict=False))
    )


def _unique(references: Sequence[Reference]) -> list[Reference]:
    seen: dict[str, Reference] = {}
    for ref in references:
        seen.setdefault(str(ref.user_id or ref.email or ref.phone), ref)
    return list(seen.values())


def _check_members(organization_id: uuid.UUID, references: Sequence[Reference]) -> None:
    """Refuse the whole call when an id is no member's: later there is nobody left to tell."""
    known = _members_among(organization_id, references)
    for ref in references:
        if ref.user_id and ref.user_id not in known:
            raise InvalidInput(
                f"No active member has the id {ref.user_id}.",
                attr=f"recipients.{ref.position}",
                code="unknown_recipient",
            )


_MEMBERS = """
SELECT m.user_id FROM accounts_membership m JOIN accounts_user u ON u.id = m.user_id AND u.is_active
 WHERE m.organization_id = %s AND m.is_active AND m.user_id = ANY(%s)
"""


def _members_among(organization_id: uuid.UUID, references: Sequence[Reference]) -> set[uuid.UUID]:
    ids = [ref.user_id for ref in references if ref.user_id]
    return {row[0] for row in sql.run(_MEMBERS, (organization_id, ids))}


def _stored(ref: Reference) -> dict[str, str]:
    if ref.user_id:
        return {"user": str(ref.user_id)}
    return {"email": ref.email} if ref.email else {"phone": ref.phone}


def _restored(position: int, stored: Mapping[str, str]) -> Reference:
    user = stored.get("user")
    return Reference(
        position,
        user_id=uuid.UUID(user) if user else None,
        email=stored.get("email", ""),
        phone=stored.get("phone", ""),
    )


def run(*, budget: dt.timedelta = dt.timedelta(seconds=20)) -> int:
    """Write waiting chunks, and parts of broadcasts, until there are none or the time is up; returns how many."""
    done = 0
    ends = current_time() + budget
    while current_time() < ends:
        written = _run_next() + broadcasts.run_next()
        if not written:
            return done
        done += written
    doorbell.ring_fanout()
    return done


def is_waiting() -> bool:
    """Whether there is a chunk, or a part of a broadcast, that could be written now."""
    return _waiting().exists() or broadcasts.is_waiting()


def _waiting() -> QuerySet[FanoutChunk]:
    return FanoutChunk.objects.filter(free()).exclude(request__status=RequestStatus.PAUSED)


def _run_next() -> bool:
    """Write the oldest chunk that nobody holds; one that fails waits, so that it stops no other."""
    return try_one(_run_one, put_off=_put_off)


def _put_off(chunk_id: uuid.UUID) -> None:
    """Let a chunk that failed wait; after ``MAX_TRIES`` it stays as it is, and its request says so."""
    with transaction.atomic():
        requests = NotificationRequest.objects.select_for_update(of=("self",), no_key=True)
        request = requests.filter(chunks=chunk_id).first()
        if request is not None and count_failure(FanoutChunk.objects.get(id=chunk_id)):
            finish(request)


def _run_one(taken: list[uuid.UUID]) -> bool:
    """Write one chunk in one transaction; ``taken`` gets its id as soon as it is known."""
    with transaction.atomic():
        chunk = (
            _waiting()
            .select_for_update(skip_locked=True, of=("self", "request"), no_key=True)
            .select_related("request__organization")
            .order_by("created_at", "position")
            .first()
        )
        if chunk is None:
            return False
        taken.append(chunk.id)
        request = chunk.request
        if not request.organization.is_active:
            drop(request)
            return True
        if request.status == RequestStatus.FANNING_OUT:
            _write_chunk(chunk, request)
        chunk.delete()
        finish(request)
    return True


def _write_chunk(chunk: FanoutChunk, request: NotificationRequest) -> None:
    references = [_restored(position, stored) for position, stored in enumerate(chunk.recipients)]
    references = _without_left(request.organization_id, references)
    write_part(request, references, skip_addresses=Broadcast.objects.filter(request=request).exists())


def _without_left(organization_id: uuid.UUID, references: list[Reference]) -> list[Reference]:
    """Who has left the organization since the call is not sent to."""
    members = _members_among(organization_id, references)
    return [ref for ref in references if ref.user_id is None or ref.user_id in members]

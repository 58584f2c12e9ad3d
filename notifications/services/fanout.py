"""Large audiences: accepted as chunks in one transaction, turned into notifications by workers.

A chunk is locked, written and deleted in one transaction: a worker that dies leaves it to the next one, and
nobody is notified twice. Its request is locked with it, so that one worker at a time writes an audience: a person
named in two chunks is seen, and the last chunk knows that it is the last.
A chunk that fails is tried again later, and given up in the end.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet

from castcomm.common import sql
from castcomm.common.clock import now as current_time
from castcomm.common.errors import InvalidInput
from notifications.models import FanoutChunk, Notification, NotificationRequest, RequestStatus
from notifications.services import doorbell, ledger
from notifications.services.catalog import catalog_of
from notifications.services.planning import Message, literal, plan
from notifications.services.recipients import Person, Reference, load_people

FIRST_CHUNK = 64  # the sooner it is written, the sooner a second worker has something to send
CHUNK = 250  # small enough that sending goes on while the rest is still being written
TRY_AGAIN = dt.timedelta(minutes=1)
MAX_TRIES = 30

log = structlog.get_logger(__name__)


def accept(
    message: Message, references: Sequence[Reference], *, data: str, content: Mapping[str, str] | None
) -> uuid.UUID | None:
    """Store the request and its chunks; None when its idempotency key was used before."""
    unique = _unique(references)
    _check_members(message.organization_id, unique)
    with transaction.atomic():
        if not ledger.write_request(message, data=data, content=content, recipient_count=len(unique)):
            return None
        starts = [0, *range(FIRST_CHUNK, len(unique), CHUNK)]
        FanoutChunk.objects.bulk_create(
            FanoutChunk(
                request_id=message.request_id,
                position=position,
                recipients=[_stored(ref) for ref in unique[start:end]],
            )
            for position, (start, end) in enumerate(zip(starts, [*starts[1:], len(unique)], strict=True))
        )
        transaction.on_commit(doorbell.ring_fanout)
    return message.request_id


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
    """Write waiting chunks until there are none or the time is up; returns how many were written."""
    done = 0
    ends = current_time() + budget
    while current_time() < ends:
        if not _run_next():
            return done
        done += 1
    doorbell.ring_fanout()
    return done


def is_waiting() -> bool:
    """Whether there is a chunk that could be written now."""
    return _waiting().exists()


def _waiting() -> QuerySet[FanoutChunk]:
    free = Q(lease_until=None) | Q(lease_until__lt=current_time())
    return FanoutChunk.objects.filter(free, tries__lt=MAX_TRIES)


def _run_next() -> bool:
    """Write the oldest chunk that nobody holds; one that fails waits, so that it stops no other."""
    taken: list[uuid.UUID] = []
    try:
        return _run_one(taken)
    except Exception:
        if not taken:
            raise
        log.exception("fanout.chunk_failed", chunk=str(taken[0]))
        _put_off(taken[0])
        return True


def _put_off(chunk_id: uuid.UUID) -> None:
    """Let a chunk that failed wait; after ``MAX_TRIES`` it stays as it is, and its request says so."""
    with transaction.atomic():
        requests = NotificationRequest.objects.select_for_update(of=("self",), no_key=True)
        request = requests.filter(chunks=chunk_id).first()
        if request is None:
            return
        chunk = FanoutChunk.objects.get(id=chunk_id)
        chunk.tries += 1
        chunk.lease_until = current_time() + TRY_AGAIN
        chunk.save(update_fields=["tries", "lease_until"])
        if chunk.tries >= MAX_TRIES:
            log.error(
                "fanout.given_up", request=str(request.id), chunk=str(chunk_id), position=chunk.position
            )
            _finish(request)


def _finish(request: NotificationRequest) -> None:
    """Tell the request that it is at its end, if it is. It is locked."""
    left = FanoutChunk.objects.filter(request=request)
    if left.filter(tries__lt=MAX_TRIES).exists():
        return
    status = RequestStatus.INCOMPLETE if left.exists() else RequestStatus.DONE
    NotificationRequest.objects.filter(id=request.id, status=RequestStatus.FANNING_OUT).update(status=status)


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
            _drop(request)
            return True
        if request.status == RequestStatus.FANNING_OUT:
            _write_chunk(chunk, request)
        chunk.delete()
        _finish(request)
    return True


def _drop(request: NotificationRequest) -> None:
    """Nothing goes out any more for an organization that was switched off."""
    FanoutChunk.objects.filter(request=request).delete()
    NotificationRequest.objects.filter(id=request.id).update(status=RequestStatus.CANCELLED)
    log.warning("fanout.dropped", request=str(request.id), organization=str(request.organization_id))


def _write_chunk(chunk: FanoutChunk, request: NotificationRequest) -> None:
    references = [_restored(position, stored) for position, stored in enumerate(chunk.recipients)]
    references = _without_left(request.organization_id, references)
    if not references:
        return
    facts, people = load_people(request.organization_id, references)
    catalog = catalog_of(request.organization_id, revision=facts.catalog_revision)
    message = Message(
        request_id=request.id,
        organization_id=request.organization_id,
        event_type=catalog.event_types_by_id[request.event_type_id],
        template=catalog.templates_by_id.get(request.template_id) if request.template_id else None,
        literal=literal(request.content) if request.template_id is None else None,
        data=request.data,
        channels=tuple(request.channels) if request.channels else None,
        priority=request.priority,
        critical=request.critical,
        scheduled_for=request.scheduled_for,
        source=request.source,
        idempotency_key="",
        now=current_time(),
    )
    people = _without_reached(request, people)
    if people:
        ledger.write_notifications(message, plan(message, people=people, organization=facts, catalog=catalog))


def _without_left(organization_id: uuid.UUID, references: list[Reference]) -> list[Reference]:
    """Who has left the organization since the call is not sent to."""
    members = _members_among(organization_id, references)
    return [ref for ref in references if ref.user_id is None or ref.user_id in members]


def _without_reached(request: NotificationRequest, people: list[Person]) -> list[Person]:
    """An address and an id in different chunks can be the same person, who gets it once."""
    ids = [person.user_id for person in people if person.user_id]
    reached = set(
        Notification.objects.filter(request=request, user_id__in=ids).values_list("user_id", flat=True)
    )
    return [person for person in people if person.user_id is None or person.user_id not in reached]

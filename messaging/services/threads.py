"""Opening and changing threads."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction

from accounts.selectors import members_of
from castcomm.common import events
from castcomm.common.clock import now
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import new_id, parse_id
from messaging.events import ThreadCreated
from messaging.models import Kind, Participant, Role, Thread, ThreadEvent
from messaging.services.doorbell import ring
from messaging.services.history import lock_thread, record_change
from messaging.services.validation import check_metadata, check_subject

MAX_GROUP = 100  # participants; larger circles are rooms, which share no read marks and ring no doorbells
MAX_ADDED_AT_ONCE = 500


def create_thread(
    *,
    organization_id: uuid.UUID,
    creator_id: uuid.UUID,
    kind: str,
    participants: object = (),
    subject: object = "",
    metadata: object = None,
) -> tuple[Thread, bool]:
    """Open a thread for ``creator_id`` and ``participants`` (ids or addresses of members).

    Returns it and whether it is new: two people have one direct thread per organization, and asking for it
    again answers that one. Raises InvalidInput.
    """
    if kind not in Kind.values:
        raise InvalidInput(f"kind must be one of {', '.join(Kind.values)}.", attr="kind")
    others = [member for member in check_members(organization_id, participants) if member != creator_id]
    draft = Thread(
        id=new_id(),
        organization_id=organization_id,
        kind=kind,
        subject=check_subject(subject),
        metadata=check_metadata({} if metadata is None else metadata),
        created_by_id=creator_id,
        active_at=now(),
    )
    _check_size(kind, len(others))
    if kind != Kind.DIRECT:
        return _do_create(draft, others), True
    draft.direct_key = ":".join(sorted([str(creator_id), str(others[0])]))
    found = _find_direct(draft)
    if found is not None:
        return found, False
    try:
        return _do_create(draft, others), True
    except IntegrityError:
        # The other one opened it in the same moment.
        found = _find_direct(draft)
        if found is None:
            raise
        return found, False


def update_thread(
    *,
    organization_id: uuid.UUID,
    thread_id: uuid.UUID,
    user_id: uuid.UUID,
    subject: object = None,
    metadata: object = None,
) -> Thread:
    """Change subject or metadata (None leaves it). Owners and moderators; in a direct thread both.

    Raises InvalidInput, NotFound, NotPermitted.
    """
    changes: dict[str, Any] = {}
    if subject is not None:
        changes["subject"] = check_subject(subject)
    if metadata is not None:
        changes["metadata"] = check_metadata(metadata)
    with transaction.atomic():
        place = lock_thread(organization_id=organization_id, thread_id=thread_id, user_id=user_id)
        thread = place.thread
        if thread.kind != Kind.DIRECT:
            place.require_moderator()
        changes = {name: value for name, value in changes.items() if getattr(thread, name) != value}
        if changes:
            for name, value in changes.items():
                setattr(thread, name, value)
            thread.save(update_fields=list(changes))
            record_change(place, ThreadEvent.Kind.THREAD_CHANGED)
    return thread


def check_members(organization_id: uuid.UUID, people: object) -> list[uuid.UUID]:
    """The ids of the named members, each once, in order; raises InvalidInput naming the first unknown one."""
    if not isinstance(people, Sequence) or isinstance(people, str | bytes):
        raise InvalidInput("participants must be a list.", attr="participants", code="wrong_type")
    if len(people) > MAX_ADDED_AT_ONCE:
        raise InvalidInput(f"At most {MAX_ADDED_AT_ONCE} people at once.", attr="participants")
    wanted = [_identifier(person, index) for index, person in enumerate(people)]
    if not wanted:
        return []
    members = members_of(organization_id)
    ids = [name for name in wanted if isinstance(name, uuid.UUID)]
    known: dict[uuid.UUID | str, uuid.UUID] = {
        user_id: user_id for user_id in members.filter(user__in=ids).values_list("user_id", flat=True)
    }
    addresses = [name for name in wanted if isinstance(name, str)]
    if addresses:
        named = members.filter(user__email__in=addresses)
        known.update(named.values_list("user__email", "user_id"))
    for index, name in enumerate(wanted):
        if name not in known:
            raise InvalidInput(
                "Nobody in this organization has this id or address.",
                attr=f"participants.{index}",
                code="unknown_participant",
            )
    return list(dict.fromkeys(known[name] for name in wanted))


def _identifier(person: object, index: int) -> uuid.UUID | str:
    identifier = parse_id(person)
    if identifier is not None:
        return identifier
    if isinstance(person, str) and "@" in person and "\x00" not in person and len(person) <= 254:
        return person.strip().lower()
    raise InvalidInput("A participant is an id or an address.", attr=f"participants.{index}")


def _check_size(kind: str, others: int) -> None:
    if kind == Kind.DIRECT and others != 1:
        raise InvalidInput("A direct thread has exactly one other participant.", attr="participants")
    if kind == Kind.GROUP and not 1 <= others < MAX_GROUP:
        raise InvalidInput(f"A group has 2 to {MAX_GROUP} participants.", attr="participants")


def _find_direct(draft: Thread) -> Thread | None:
    found: Thread | None = (
        Thread.objects.for_organization(draft.organization_id).filter(direct_key=draft.direct_key).first()
    )
    return found


def _do_create(draft: Thread, others: list[uuid.UUID]) -> Thread:
    creator_id = draft.created_by_id
    assert creator_id is not None
    # Two equals: neither may delete what the other wrote.
    own_role = Role.MEMBER if draft.kind == Kind.DIRECT else Role.OWNER
    roles = {creator_id: own_role, **dict.fromkeys(others, Role.MEMBER)}
    with transaction.atomic():
        draft.save(force_insert=True)
        Participant.objects.bulk_create(
            Participant(organization_id=draft.organization_id, thread=draft, user_id=user_id, role=role)
            for user_id, role in roles.items()
        )
        events.publish(
            ThreadCreated(organization_id=draft.organization_id, thread_id=draft.id, user_id=creator_id)
        )
        ring(draft, list(roles), op="created")
    return draft

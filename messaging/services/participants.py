"""Who is in a thread, and what each of them has put away."""

from __future__ import annotations

import uuid

from django.db import transaction
from django.db.models import QuerySet

from castcomm.common.clock import now
from castcomm.common.errors import Conflict, InvalidInput, NotFound
from castcomm.realtime.sessions import end_subscription
from messaging.models import Kind, Participant, Role, ThreadEvent
from messaging.presentation import thread_topic
from messaging.selectors import get_place
from messaging.services.doorbell import ring
from messaging.services.history import Place, lock_thread, record_change
from messaging.services.threads import MAX_GROUP, check_members


def add_participants(
    *,
    organization_id: uuid.UUID,
    thread_id: uuid.UUID,
    user_id: uuid.UUID,
    participants: object,
    role: object = Role.MEMBER,
) -> list[Participant]:
    """Let members into a group or room; those who are in it already stay as they are. Returns the new ones.

    They see what was said before, and none of it counts as unread. Owners and moderators only. Raises
    InvalidInput, NotFound, NotPermitted, Conflict (a direct thread).
    """
    new_role = _check_role(role)
    wanted = check_members(organization_id, participants)
    if not wanted:
        raise InvalidInput("Name at least one person.", attr="participants")
    with transaction.atomic():
        place = lock_thread(organization_id=organization_id, thread_id=thread_id, user_id=user_id)
        place.require_many()
        place.require_moderator()
        present = set(
            Participant.objects.filter(thread=place.thread, left_at=None).values_list("user_id", flat=True)
        )
        newcomers = [person for person in wanted if person not in present]
        if place.thread.kind == Kind.GROUP and len(present) + len(newcomers) > MAX_GROUP:
            raise InvalidInput(f"A group has at most {MAX_GROUP} participants.", attr="participants")
        return [_admit(place, person, new_role) for person in newcomers]


def remove_participant(
    *, organization_id: uuid.UUID, thread_id: uuid.UUID, user_id: uuid.UUID, participant_user_id: uuid.UUID
) -> None:
    """Put somebody out of a group or room, or leave it when it is oneself.

    Removing takes an owner or moderator, and owners are not removed. When the last owner
    leaves, whoever has been there longest becomes one. Raises NotFound, NotPermitted, Conflict.
    """
    with transaction.atomic():
        place = lock_thread(organization_id=organization_id, thread_id=thread_id, user_id=user_id)
        place.require_many()
        leaving = participant_user_id == user_id
        if not leaving:
            place.require_moderator()
        target = _lock_participant(place, participant_user_id)
        if target.role == Role.OWNER and not leaving:
            raise Conflict("An owner is not removed; take the role away first.")
        target.left_at = now()
        target.save(update_fields=["left_at"])
        kind = ThreadEvent.Kind.PARTICIPANT_LEFT if leaving else ThreadEvent.Kind.PARTICIPANT_REMOVED
        record_change(place, kind, participant=target)
        if target.role == Role.OWNER:
            _keep_an_owner(place)
        ring(place.thread, [participant_user_id], op="gone")
        topic = thread_topic(thread_id)
        transaction.on_commit(lambda: end_subscription(participant_user_id, topic))


def change_role(
    *,
    organization_id: uuid.UUID,
    thread_id: uuid.UUID,
    user_id: uuid.UUID,
    participant_user_id: uuid.UUID,
    role: object,
) -> Participant:
    """Give a participant another role. Owners only; the last owner stays one.

    Raises InvalidInput, NotFound, NotPermitted, Conflict.
    """
    new_role = _check_role(role, owner_allowed=True)
    with transaction.atomic():
        place = lock_thread(organization_id=organization_id, thread_id=thread_id, user_id=user_id)
        place.require_many()
        place.require_owner()
        target = _lock_participant(place, participant_user_id)
        if target.role == new_role:
            return target
        if target.role == Role.OWNER and not _owners(place).exclude(id=target.id).exists():
            raise Conflict("A thread needs an owner.")
        target.role = new_role
        target.save(update_fields=["role"])
        record_change(place, ThreadEvent.Kind.ROLE_CHANGED, participant=target, data={"role": new_role})
        return target


def set_archived(
    *, organization_id: uuid.UUID, thread_id: uuid.UUID, user_id: uuid.UUID, archived: bool
) -> None:
    """Put a thread away, for this person alone, or bring it back. Raises NotFound."""
    place = get_place(user_id, organization_id, thread_id)
    place.archived_at = now() if archived else None
    place.save(update_fields=["archived_at"])
    ring(place.thread, [user_id], op="archived" if archived else "unarchived")


def set_muted(*, organization_id: uuid.UUID, thread_id: uuid.UUID, user_id: uuid.UUID, muted: bool) -> None:
    """Keep a thread quiet, for this person alone, or not any more. Raises NotFound."""
    place = get_place(user_id, organization_id, thread_id)
    place.is_muted = muted
    place.save(update_fields=["is_muted"])
    ring(place.thread, [user_id], op="muted" if muted else "unmuted")


def _check_role(role: object, *, owner_allowed: bool = False) -> Role:
    allowed = [name for name in Role.values if owner_allowed or name != Role.OWNER]
    if not isinstance(role, str) or role not in allowed:
        raise InvalidInput(f"role must be one of {', '.join(allowed)}.", attr="role")
    return Role(role)


def _admit(place: Place, user_id: uuid.UUID, role: Role) -> Participant:
    thread = place.thread
    joined = {
        "organization_id": thread.organization_id,
        "role": role,
        "joined_at": now(),
        "left_at": None,
        "archived_at": None,
        "last_read_seq": thread.seq,
        "seen_count": thread.msg_seq,
    }
    # Whoever was here before gets their row back.
    participant, _ = Participant.objects.update_or_create(thread=thread, user_id=user_id, defaults=joined)
    record_change(
        place,
        ThreadEvent.Kind.PARTICIPANT_ADDED,
        participant=participant,
        data={"role": role, "last_read_seq": participant.last_read_seq},
    )
    ring(thread, [user_id], op="created")
    return participant


def _lock_participant(place: Place, user_id: uuid.UUID) -> Participant:
    target: Participant | None = (
        Participant.objects.select_for_update(of=("self",))
        .select_related("user")
        .filter(thread=place.thread, user=user_id, left_at=None)
        .first()
    )
    if target is None:
        raise NotFound("This person is not in the thread.")
    return target


def _owners(place: Place) -> QuerySet[Participant]:
    return Participant.objects.filter(thread=place.thread, role=Role.OWNER, left_at=None)


def _keep_an_owner(place: Place) -> None:
    if _owners(place).exists():
        return
    heir = (
        Participant.objects.filter(thread=place.thread, left_at=None)
        .select_related("user")
        .order_by("joined_at", "id")
        .first()
    )
    if heir is not None:
        heir.role = Role.OWNER
        heir.save(update_fields=["role"])
        record_change(place, ThreadEvent.Kind.ROLE_CHANGED, participant=heir, data={"role": Role.OWNER})

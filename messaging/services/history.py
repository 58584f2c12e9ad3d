"""The one way in which a thread changes: lock it, number the change, write it down, tell everybody.

Locks are always taken in the order thread, participant, message. That keeps the numbers gapless and the
transactions free of deadlocks.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from castcomm.common.errors import Conflict, NotFound, NotPermitted
from castcomm.common.ids import new_id
from castcomm.realtime.hub import publish_on_commit
from messaging.models import Kind, Message, Participant, Role, Thread, ThreadEvent
from messaging.presentation import event_frame, thread_topic


@dataclass(frozen=True, kw_only=True)
class Place:
    """A locked thread and the participant who acts in it."""

    thread: Thread
    participant: Participant

    def require_voice(self) -> None:
        """Raises NotPermitted for people who may only read."""
        if self.participant.role == Role.READ_ONLY:
            raise NotPermitted("You may only read in this thread.")

    def require_moderator(self) -> None:
        """Raises NotPermitted for people who may not run this thread."""
        if not self.participant.may_moderate:
            raise NotPermitted("Only owners and moderators of the thread may do this.")

    def require_owner(self) -> None:
        """Raises NotPermitted for everybody but owners."""
        if self.participant.role != Role.OWNER:
            raise NotPermitted("Only owners of the thread may do this.")

    def require_many(self) -> None:
        """Raises Conflict in a direct thread, whose two people are fixed."""
        if self.thread.kind == Kind.DIRECT:
            raise Conflict("The participants of a direct thread do not change; archive it instead.")


def lock_thread(*, organization_id: uuid.UUID, thread_id: uuid.UUID, user_id: uuid.UUID) -> Place:
    """Lock the thread for a change by ``user_id``; raises NotFound when they are not in it.

    Must run in a transaction.
    """
    thread = (
        Thread.objects.for_organization(organization_id)
        .select_for_update(of=("self",))
        .filter(id=thread_id)
        .first()
    )
    participant = thread and (
        Participant.objects.filter(thread=thread, user=user_id, left_at=None).select_related("user").first()
    )
    if thread is None or participant is None:
        raise NotFound("There is no such thread.")
    return Place(thread=thread, participant=participant)


def record_change(
    place: Place,
    kind: ThreadEvent.Kind,
    *,
    message: Message | None = None,
    participant: Participant | None = None,
    data: dict[str, Any] | None = None,
) -> ThreadEvent:
    """Number a change of the locked thread, write it and publish its frame on commit.

    ``message`` needs its sender loaded, ``participant`` its user.
    """
    thread = place.thread
    thread.seq += 1
    thread.save(update_fields=["seq"])
    event = ThreadEvent(
        id=new_id(),
        organization_id=thread.organization_id,
        thread=thread,
        seq=thread.seq,
        kind=kind,
        actor=place.participant.user,
        user=participant.user if participant else None,
        message=message,
        data=data or {},
    )
    event.save(force_insert=True)
    publish_on_commit(thread_topic(thread.id), event_frame(event, thread))
    return event

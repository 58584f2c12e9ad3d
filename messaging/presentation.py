"""How threads, messages and changes look as JSON, over REST and over the WebSocket alike."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from messaging.models import Message, Participant, Thread, ThreadEvent

_MESSAGE_OPERATIONS = {
    ThreadEvent.Kind.MESSAGE_EDITED: "edited",
    ThreadEvent.Kind.MESSAGE_DELETED: "deleted",
}
Frame = dict[str, Any]


def thread_topic(thread_id: uuid.UUID) -> str:
    """The topic on which everybody in the thread listens."""
    return f"thread:{thread_id}"


def person_json(user_id: uuid.UUID, name: str) -> dict[str, Any]:
    return {"id": str(user_id), "display_name": name}


def message_json(message: Message, *, sender_name: str | None = None) -> dict[str, Any]:
    """A message as it is now. Without ``sender_name`` the sender must be loaded."""
    name = message.sender.display_name if sender_name is None else sender_name
    return {
        "id": str(message.id),
        "thread": str(message.thread_id),
        "seq": message.seq,
        "msg_seq": message.msg_seq,
        "client_id": message.client_id,
        "sender": person_json(message.sender_id, name),
        "content": "" if message.deleted_at else message.content,
        "reply_to": str(message.reply_to_id) if message.reply_to_id else None,
        "created_at": message.created_at,
        "edited_at": message.edited_at,
        "deleted_at": message.deleted_at,
    }


def participant_json(participant: Participant, *, with_mark: bool = True) -> dict[str, Any]:
    """A participant whose user is loaded. Rooms do not tell the others' marks: ``with_mark=False``."""
    return {
        "user": person_json(participant.user_id, participant.user.display_name),
        "role": participant.role,
        "last_read_seq": participant.last_read_seq if with_mark else None,
    }


def thread_json(thread: Thread, participants: Iterable[Participant], *, user_id: uuid.UUID) -> dict[str, Any]:
    """A thread as ``user_id`` sees it.

    ``participants`` are the present ones with their users (in a room only the person's own);
    ``thread.participant_count`` is annotated by the selector.
    """
    present = list(participants)
    own = next(participant for participant in present if participant.user_id == user_id)
    return {
        "id": str(thread.id),
        "kind": thread.kind,
        "subject": thread.subject,
        "metadata": thread.metadata,
        "participants": [participant_json(participant) for participant in present],
        "participant_count": thread.participant_count,  # type: ignore[attr-defined]
        "head_seq": thread.seq,
        "msg_seq": thread.msg_seq,
        "seen_count": own.seen_count,
        "last_read_seq": own.last_read_seq,
        "unread_count": thread.msg_seq - own.seen_count,
        "role": own.role,
        "muted": own.is_muted,
        "archived": is_archived(thread, own),
        "last_message": message_json(thread.last_message) if thread.last_message else None,
        "created_at": thread.created_at,
        "updated_at": thread.active_at,
    }


def is_archived(thread: Thread, participant: Participant) -> bool:
    """Whether the thread is out of this person's way; a newer message brings it back unless muted."""
    if participant.archived_at is None:
        return False
    return participant.is_muted or participant.archived_at >= thread.active_at


def created_frame(message: Message, *, sender_name: str | None = None) -> Frame:
    """The frame of a new message."""
    return {
        "event": "message:received",
        "thread": str(message.thread_id),
        "seq": message.seq,
        "data": {"op": "created", **message_json(message, sender_name=sender_name)},
    }


def event_frame(event: ThreadEvent, thread: Thread) -> Frame:
    """The frame of any other durable change; its message (with sender), user and actor must be loaded."""
    kind = ThreadEvent.Kind(event.kind)
    operation = _MESSAGE_OPERATIONS.get(kind)
    if operation is not None and event.message is not None:
        name, data = "message:received", {"op": operation, **message_json(event.message)}
    else:
        name, data = "thread:updated", {"op": event.kind, **_change(event, thread)}
    data["actor"] = person_json(event.actor.id, event.actor.display_name) if event.actor else None
    return {"event": name, "thread": str(event.thread_id), "seq": event.seq, "data": data}


def read_frame(thread_id: uuid.UUID, user_id: uuid.UUID, last_read_seq: int) -> Frame:
    """Somebody's read mark. It has no seq of its own: the highest mark is the whole truth."""
    return {
        "event": "message:read",
        "thread": str(thread_id),
        "data": {"user": str(user_id), "seq": last_read_seq},
    }


def _change(event: ThreadEvent, thread: Thread) -> dict[str, Any]:
    if event.kind == ThreadEvent.Kind.THREAD_CHANGED:
        return {"subject": thread.subject, "metadata": thread.metadata}
    if event.user is None:
        return {}
    return {"user": person_json(event.user.id, event.user.display_name), **event.data}

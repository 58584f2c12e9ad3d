"""The topic ``thread:<id>``: who may listen, what they missed, and where their threads stand."""

from __future__ import annotations

import uuid
from typing import Any

from castcomm.common.errors import NotFound
from castcomm.common.ids import parse_id
from castcomm.realtime.sessions import register_greeting, register_heads
from castcomm.realtime.topics import Replay, TopicKind, register_kind
from messaging.selectors import MAX_REPLAY, changes_since, get_place, thread_heads


def may_listen(user_id: uuid.UUID, organization_id: uuid.UUID, key: str) -> bool:
    """Whether the person is in the thread. The id must be spelled as we spell it: it names the topic."""
    thread_id = parse_id(key)
    if thread_id is None or str(thread_id) != key:
        return False
    try:
        get_place(user_id, organization_id, thread_id)
    except NotFound:
        return False
    return True


def replay_thread(user_id: uuid.UUID, organization_id: uuid.UUID, key: str, since_seq: int | None) -> Replay:
    """The changes after ``since_seq`` and the read marks; not recovered when there are more than MAX_REPLAY.

    A ``since_seq`` that the thread has never reached is not recovered either: the client knows another past.
    """
    place = get_place(user_id, organization_id, uuid.UUID(key))
    head = place.thread.seq
    if since_seq is None:
        return Replay(head=head)
    if not 0 <= head - since_seq <= MAX_REPLAY:
        return Replay(head=head, recovered=False)
    changes = changes_since(place, since_seq)
    return Replay(events=changes.frames, head=head)


def heads(user_id: uuid.UUID, organization_id: uuid.UUID) -> dict[str, Any]:
    """``thread_heads``: the newest seq of each of the person's threads."""
    return {"thread_heads": thread_heads(user_id, organization_id)}


register_kind("thread", TopicKind(authorize=may_listen, replay=replay_thread))
register_greeting("thread_heads", heads)
register_heads(heads)

"""The inbox on the WebSocket: what a client learns on arrival, and what it missed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from castcomm.realtime import sessions, topics
from castcomm.realtime.topics import Replay, TopicKind
from notifications import selectors


def greeting(user_id: UUID, organization_id: UUID) -> dict[str, Any]:
    """The inbox's position, for ``auth:success`` and the heartbeat."""
    return {"inbox_seq": selectors.inbox_seq(organization_id, user_id)}


def _is_own(user_id: UUID, organization_id: UUID, key: str) -> bool:
    return key == f"{organization_id}:{user_id}"


def _replay(user_id: UUID, organization_id: UUID, key: str, since_seq: int | None) -> Replay:
    if since_seq is None:
        return Replay([], selectors.inbox_seq(organization_id, user_id), True)
    rows, head, complete = selectors.inbox_changes(organization_id, user_id, since_seq)
    frames = [{"event": "notification", "seq": row["seq"], "data": row} for row in rows]
    return Replay(frames, head, complete)


INBOX_TOPIC = TopicKind(authorize=_is_own, replay=_replay)


def register() -> None:
    """Make the inbox known to the WebSocket; call it from ``AppConfig.ready``."""
    sessions.register_greeting("inbox", greeting)
    sessions.register_heads(greeting)
    topics.register_kind("user", INBOX_TOPIC)

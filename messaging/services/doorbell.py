"""News for thread lists: what reaches people who are not looking at the thread itself."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from castcomm.realtime import hub
from castcomm.realtime.topics import user_topic
from messaging.models import Thread


def ring(thread: Thread, user_ids: Sequence[uuid.UUID], *, op: str, **data: Any) -> None:
    """On commit, tell these people's sockets that something about their thread lists has changed."""
    frame = {
        "event": "thread:updated",
        "thread": str(thread.id),
        "data": {"op": op, "head_seq": thread.seq, "msg_seq": thread.msg_seq, **data},
    }
    topics = [user_topic(user_id, thread.organization_id) for user_id in user_ids]
    transaction.on_commit(lambda: hub.publish_many([(topic, frame) for topic in topics]))

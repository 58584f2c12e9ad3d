"""Read marks: how far somebody has read, which only ever grows."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from django.db import transaction

from castcomm.common import sql
from castcomm.common.errors import NotFound
from castcomm.realtime import hub
from castcomm.realtime.topics import user_topic
from messaging.models import Kind
from messaging.presentation import Frame, read_frame, thread_topic

# The person's row is locked, so that nothing of theirs is sent while it is counted; the thread is not.
_LOOK: Final = """
SELECT p.id, p.last_read_seq, p.seen_count, t.kind, t.msg_seq, m.seq, m.msg_seq
  FROM messaging_participant p
  JOIN messaging_thread t ON t.id = p.thread_id
  LEFT JOIN LATERAL (
       SELECT m.seq, m.msg_seq FROM messaging_message m
        WHERE m.thread_id = t.id AND m.seq <= %(seq)s::bigint
        ORDER BY m.seq DESC LIMIT 1) m ON true
 WHERE p.thread_id = %(thread)s::uuid AND p.user_id = %(user)s::uuid
   AND p.organization_id = %(organization)s::uuid AND p.left_at IS NULL
   FOR UPDATE OF p
"""

_MARK: Final = """
UPDATE messaging_participant p
   SET last_read_seq = %(seq)s::bigint,
       seen_count = %(msg_seq)s::bigint + (
           SELECT count(*) FROM messaging_message o
            WHERE o.thread_id = p.thread_id AND o.sender_id = p.user_id AND o.seq > %(seq)s::bigint)
  FROM messaging_thread t
 WHERE p.id = %(id)s::uuid AND t.id = p.thread_id
RETURNING p.seen_count, t.msg_seq
"""


@dataclass(frozen=True, kw_only=True)
class ReadMark:
    """Where somebody's mark stands now; ``moved`` when this call moved it."""

    last_read_seq: int
    seen_count: int
    unread_count: int
    moved: bool


def mark_read(*, organization_id: uuid.UUID, thread_id: uuid.UUID, user_id: uuid.UUID, seq: int) -> ReadMark:
    """Everything up to the change ``seq`` is read. A lower mark than the one there is changes nothing.

    The others in a direct or group thread are told, and the person's own sockets. Raises NotFound.
    At most two SQL statements.
    """
    with transaction.atomic():
        rows = sql.run(
            _LOOK,
            {"seq": seq, "thread": thread_id, "user": user_id, "organization": organization_id},
        )
        if not rows:
            raise NotFound("There is no such thread.")
        participant_id, mark, seen_count, kind, msg_seq, read_seq, read_msg_seq = rows[0]
        if read_seq is None or read_seq <= mark:
            # The two numbers may be of different moments; a person has never seen more than was said.
            unread = max(0, msg_seq - seen_count)
            return ReadMark(last_read_seq=mark, seen_count=seen_count, unread_count=unread, moved=False)
        ((seen_count, msg_seq),) = sql.run(
            _MARK, {"seq": read_seq, "msg_seq": read_msg_seq, "id": participant_id}
        )
        moved = ReadMark(
            last_read_seq=read_seq, seen_count=seen_count, unread_count=msg_seq - seen_count, moved=True
        )
        frames = _frames(moved, kind, organization_id, thread_id, user_id)
        transaction.on_commit(lambda: hub.publish_many(frames))
        return moved


def _frames(
    mark: ReadMark, kind: str, organization_id: uuid.UUID, thread_id: uuid.UUID, user_id: uuid.UUID
) -> list[tuple[str, Frame]]:
    own = {
        "event": "thread:updated",
        "thread": str(thread_id),
        "data": {
            "op": "read",
            "last_read_seq": mark.last_read_seq,
            "seen_count": mark.seen_count,
            "unread_count": mark.unread_count,
        },
    }
    frames: list[tuple[str, Frame]] = [(user_topic(user_id, organization_id), own)]
    if kind != Kind.ROOM:
        frames.append((thread_topic(thread_id), read_frame(thread_id, user_id, mark.last_read_seq)))
    return frames

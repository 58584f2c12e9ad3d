"""Sending a message: the hot path of conversations."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Final

from django.db import IntegrityError, transaction

from castcomm.common import events, sql
from castcomm.common.clock import now
from castcomm.common.errors import Conflict, InvalidInput, NotFound, NotPermitted
from castcomm.common.ids import new_id
from castcomm.realtime import hub
from castcomm.realtime.topics import user_topic
from messaging.events import MessageSent
from messaging.models import Message, Participant, Role
from messaging.people import display_name
from messaging.presentation import Frame, created_frame, message_json, thread_topic
from messaging.services.validation import check_client_id, check_content

# One statement checks, numbers and writes. The thread's row lock queues the senders; the sender's own row is
# checked again under its lock ("sent"), so that nothing is written for someone who is just being removed.
# Everybody's ids come along for the doorbell, except in rooms, where it does not ring.
_SEND: Final = """
WITH head AS (
    UPDATE messaging_thread t
       SET seq = t.seq + 1, msg_seq = t.msg_seq + 1,
           last_message_id = %(id)s::uuid, active_at = %(moment)s::timestamptz
      FROM messaging_participant p
     WHERE t.id = %(thread)s::uuid AND t.organization_id = %(organization)s::uuid
       AND p.thread_id = t.id AND p.user_id = %(sender)s::uuid AND p.left_at IS NULL AND p.role <> 'read_only'
       AND (%(reply_to)s::uuid IS NULL
            OR EXISTS (SELECT 1 FROM messaging_message r
                        WHERE r.id = %(reply_to)s::uuid AND r.thread_id = %(thread)s::uuid))
    RETURNING t.id, t.organization_id, t.kind, t.seq, t.msg_seq, p.id AS participant_id
), sent AS (
    UPDATE messaging_participant p SET seen_count = p.seen_count + 1
      FROM head
     WHERE p.id = head.participant_id AND p.left_at IS NULL AND p.role <> 'read_only'
    RETURNING p.seen_count
), written AS (
    INSERT INTO messaging_message
           (id, created_at, organization_id, thread_id, seq, msg_seq, sender_id, client_id, fingerprint,
            content, reply_to_id)
    SELECT %(id)s::uuid, %(moment)s::timestamptz, head.organization_id, head.id, head.seq, head.msg_seq,
           %(sender)s::uuid, %(client_id)s::text, %(fingerprint)s::bytea, %(content)s::text,
           %(reply_to)s::uuid
      FROM head, sent
)
SELECT head.seq, head.msg_seq, sent.seen_count,
       CASE WHEN head.kind <> 'room' THEN ARRAY(
           SELECT o.user_id FROM messaging_participant o
            WHERE o.thread_id = head.id AND o.left_at IS NULL AND o.user_id <> %(sender)s::uuid) END
  FROM head LEFT JOIN sent ON true
"""


@dataclass(frozen=True, kw_only=True)
class SentMessage:
    """A message that is stored; ``duplicate`` when an earlier call had stored it already."""

    message: Message
    duplicate: bool


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """Checked input, not written yet."""

    organization_id: uuid.UUID
    thread_id: uuid.UUID
    sender_id: uuid.UUID
    client_id: str
    content: str
    reply_to_id: uuid.UUID | None
    fingerprint: bytes


def send_message(
    *,
    organization_id: uuid.UUID,
    thread_id: uuid.UUID,
    sender_id: uuid.UUID,
    content: object,
    client_id: object = None,
    reply_to_id: uuid.UUID | None = None,
) -> SentMessage:
    """Write a message and tell everybody in the thread on commit; when this returns, it is committed
    (or part of the caller's transaction).

    The same ``client_id`` again answers the first result. Raises InvalidInput (content, client_id,
    reply_to), NotFound (not in the thread), NotPermitted (may only read), Conflict (the client_id was
    used for something else). One SQL statement, and one more when the sender's name is not remembered.
    """
    text = check_content(content)
    draft = _Draft(
        organization_id=organization_id,
        thread_id=thread_id,
        sender_id=sender_id,
        client_id=check_client_id(client_id),
        content=text,
        reply_to_id=reply_to_id,
        fingerprint=_fingerprint(thread_id, text, reply_to_id),
    )
    name = display_name(sender_id)
    try:
        with transaction.atomic():
            return SentMessage(message=_write(draft, name), duplicate=False)
    except IntegrityError as error:
        first = _find_first(draft)
        if first is None:
            raise
        if bytes(first.fingerprint) != draft.fingerprint:
            raise Conflict(
                "This client_id was used for another message.", attr="client_id", code="client_id_reused"
            ) from error
        return SentMessage(message=first, duplicate=True)


def _fingerprint(thread_id: uuid.UUID, content: str, reply_to_id: uuid.UUID | None) -> bytes:
    """16 bytes that tell apart what was sent."""
    identity = json.dumps([str(thread_id), content, str(reply_to_id) if reply_to_id else None])
    return hashlib.blake2b(identity.encode(), digest_size=16).digest()


def _write(draft: _Draft, sender_name: str) -> Message:
    message_id, moment = new_id(), now()
    rows = sql.run(
        _SEND,
        {
            "id": message_id,
            "moment": moment,
            "thread": draft.thread_id,
            "organization": draft.organization_id,
            "sender": draft.sender_id,
            "reply_to": draft.reply_to_id,
            "client_id": draft.client_id,
            "fingerprint": draft.fingerprint,
            "content": draft.content,
        },
    )
    if not rows or rows[0][2] is None:
        raise _refusal(draft)
    seq, msg_seq, seen_count, others = rows[0]
    message = _message(draft, message_id, moment, seq, msg_seq)
    events.publish(
        MessageSent(
            organization_id=draft.organization_id,
            thread_id=draft.thread_id,
            message_id=message_id,
            sender_id=draft.sender_id,
            seq=seq,
        )
    )
    frames = _frames(message, sender_name, seen_count, others)
    transaction.on_commit(lambda: hub.publish_many(frames))
    return message


def _message(draft: _Draft, message_id: uuid.UUID, moment: dt.datetime, seq: int, msg_seq: int) -> Message:
    return Message(
        id=message_id,
        created_at=moment,
        organization_id=draft.organization_id,
        thread_id=draft.thread_id,
        seq=seq,
        msg_seq=msg_seq,
        sender_id=draft.sender_id,
        client_id=draft.client_id,
        fingerprint=draft.fingerprint,
        content=draft.content,
        reply_to_id=draft.reply_to_id,
    )


def _frames(
    message: Message, sender_name: str, seen_count: int, others: list[uuid.UUID] | None
) -> list[tuple[str, Frame]]:
    """The message for those who listen to the thread; for the rest a doorbell that moves their lists."""
    frames = [(thread_topic(message.thread_id), created_frame(message, sender_name=sender_name))]
    if others is None:
        return frames
    data = {
        "op": "message",
        "head_seq": message.seq,
        "msg_seq": message.msg_seq,
        "last_message": message_json(message, sender_name=sender_name),
    }
    doorbell = {"event": "thread:updated", "thread": str(message.thread_id), "data": data}
    frames += [(user_topic(other, message.organization_id), doorbell) for other in others]
    own = {**doorbell, "data": {**data, "seen_count": seen_count}}
    frames.append((user_topic(message.sender_id, message.organization_id), own))
    return frames


def _refusal(draft: _Draft) -> Exception:
    """Why the statement wrote nothing."""
    participant = Participant.objects.filter(
        thread=draft.thread_id, organization=draft.organization_id, user=draft.sender_id, left_at=None
    ).first()
    if participant is None:
        return NotFound("There is no such thread.")
    if participant.role == Role.READ_ONLY:
        return NotPermitted("You may only read in this thread.")
    return InvalidInput("reply_to is not a message of this thread.", attr="reply_to")


def _find_first(draft: _Draft) -> Message | None:
    return (
        Message.objects.filter(sender=draft.sender_id, client_id=draft.client_id)
        .select_related("sender")
        .first()
    )

"""message:send, message:read, typing:start and typing:stop. They take the same service path as REST."""

from __future__ import annotations

import uuid
from typing import Any

from castcomm.common.errors import Conflict, InvalidInput
from castcomm.realtime import hub
from castcomm.realtime.connection import Connection
from castcomm.realtime.protocol import on
from messaging.people import display_name
from messaging.presentation import person_json, thread_topic
from messaging.services.reading import mark_read
from messaging.services.sending import send_message
from messaging.services.validation import check_id, check_seq

TYPING_MS = 15_000  # after this a client stops showing it, unless it was said again
TYPING_INTERVAL = 3.0  # seconds; what is said more often than this is not passed on


@on("message:send")
async def answer_send(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    """Send a message; the ack means that it is committed."""
    if data.get("attachments"):
        raise InvalidInput("Messages carry text only.", attr="attachments", code="not_supported")
    reply_to = data.get("reply_to")
    sent = await connection.call(
        send_message,
        organization_id=connection.organization_id,
        thread_id=check_id(data.get("thread"), attr="thread"),
        sender_id=connection.user_id,
        content=data.get("content"),
        client_id=data.get("client_id"),
        reply_to_id=None if reply_to is None else check_id(reply_to, attr="reply_to"),
    )
    message = sent.message
    return {
        "id": str(message.id),
        "thread": str(message.thread_id),
        "client_id": message.client_id,
        "seq": message.seq,
        "msg_seq": message.msg_seq,
        "created_at": message.created_at,
        "duplicate": sent.duplicate,
    }


@on("message:read")
async def answer_read(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    """Move the person's read mark; the answer says where it stands."""
    thread_id = check_id(data.get("thread"), attr="thread")
    mark = await connection.call(
        mark_read,
        organization_id=connection.organization_id,
        thread_id=thread_id,
        user_id=connection.user_id,
        seq=check_seq(data.get("seq")),
    )
    return {
        "thread": str(thread_id),
        "seq": mark.last_read_seq,
        "seen_count": mark.seen_count,
        "unread_count": mark.unread_count,
    }


@on("typing:start")
async def pass_on_start(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    """Tell the others that this person is typing; repeated within TYPING_INTERVAL it is not passed on."""
    thread_id = _listened_to(connection, data)
    said: dict[uuid.UUID, float] = connection.session.setdefault("messaging.typing", {})
    moment = connection.hub.loop.time()
    if moment - said.get(thread_id, float("-inf")) >= TYPING_INTERVAL:
        said[thread_id] = moment
        await _publish_typing(connection, "typing:start", thread_id)
    return {}


@on("typing:stop")
async def pass_on_stop(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    """Tell the others that this person stopped typing, if they were told of the start."""
    thread_id = _listened_to(connection, data)
    said: dict[uuid.UUID, float] = connection.session.setdefault("messaging.typing", {})
    if said.pop(thread_id, None) is not None:
        await _publish_typing(connection, "typing:stop", thread_id)
    return {}


def _listened_to(connection: Connection, data: dict[str, Any]) -> uuid.UUID:
    """The thread in ``data``. Whoever listens to it may type in it; that costs no query."""
    thread_id = check_id(data.get("thread"), attr="thread")
    if thread_topic(thread_id) not in connection.topics:
        raise Conflict("Subscribe to the thread first.", attr="thread", code="not_subscribed")
    return thread_id


async def _publish_typing(connection: Connection, event: str, thread_id: uuid.UUID) -> None:
    name = connection.session.get("messaging.name")
    if name is None:
        name = connection.session["messaging.name"] = await connection.call(display_name, connection.user_id)
    frame = {
        "event": event,
        "thread": str(thread_id),
        "data": {"user": person_json(connection.user_id, name), "expires_in_ms": TYPING_MS},
    }
    hub.publish(thread_topic(thread_id), frame, ephemeral=True)

"""The events every socket knows: ping, subscribe, unsubscribe."""

from __future__ import annotations

from functools import partial
from typing import Any

from castcomm.common.errors import Conflict, InvalidInput, NotFound

from .connection import Connection, Hold
from .protocol import Answer, on
from .sessions import changed_heads, current_heads, has_heads
from .topics import find_kind


@on("auth", inbox=True)
async def refuse_second_auth(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    """A socket keeps the identity it came with."""
    raise Conflict("This socket is signed in.", code="already_authenticated")


@on("ping", inbox=True)
async def answer_ping(connection: Connection, data: dict[str, Any]) -> Answer:
    """Pong, with the heads that changed since the client was last told."""
    heads: dict[str, Any] = {}
    if has_heads():
        heads = await connection.call(current_heads, connection.user_id, connection.organization_id)
    changed = changed_heads(connection.heads, heads)
    connection.heads = {**connection.heads, **heads}
    return Answer(changed, event="pong", always=True)


@on("pong", inbox=True)
async def accept_pong(connection: Connection, data: dict[str, Any]) -> None:
    """A sign of life."""


@on("subscribe", inbox=True)
async def subscribe(connection: Connection, data: dict[str, Any]) -> Answer:
    """Listen to a topic and get what was missed since ``since_seq``, without gap and without doubles."""
    topic = data.get("topic")
    kind, key = find_kind(topic)
    since_seq = data.get("since_seq")
    if since_seq is not None and (
        not isinstance(since_seq, int) or isinstance(since_seq, bool) or since_seq < 0
    ):
        raise InvalidInput("since_seq must be a whole number.", attr="since_seq")
    person = (connection.user_id, connection.organization_id, key)
    if connection.inbox and topic != connection.own_topic:
        raise NotFound("This socket is for the inbox alone.", attr="topic")
    if not await connection.call(kind.authorize, *person):
        raise NotFound("There is no such topic.", attr="topic")
    topic = f"{topic}"
    known = topic in connection.topics
    hold = Hold(connection)
    await connection.listen(topic, hold.take)
    try:
        replay = await connection.call(kind.replay, *person, since_seq)
    except BaseException:
        if known:
            hold.release(topic, connection.deliver, 0)
        else:
            await connection.unsubscribe(topic)
        raise
    answer = {"events": replay.events, "head": replay.head, "recovered": replay.recovered}
    return Answer(answer, always=True, then=partial(hold.release, topic, connection.deliver, replay.head))


@on("unsubscribe")
async def unsubscribe(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    """Stop listening to a topic; one that is not listened to is fine too."""
    topic = data.get("topic")
    find_kind(topic)
    await connection.unsubscribe(f"{topic}")
    return {}

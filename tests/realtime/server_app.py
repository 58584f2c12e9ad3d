"""The ASGI application under test, with a topic kind and events of its own.

Tokens are ``<user id>/<organization id>``. The topic kind ``room`` keeps its log in a Redis list, where an app has
a table: entry n has seq n.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any
from uuid import UUID

import django

django.setup()

import orjson  # noqa: E402
import redis  # noqa: E402
from channels.routing import ProtocolTypeRouter  # noqa: E402
from django.conf import settings  # noqa: E402

from castcomm.common.errors import InvalidInput  # noqa: E402
from castcomm.realtime import auth, protocol, sessions, stats, topics  # noqa: E402
from castcomm.realtime.connection import Connection  # noqa: E402
from castcomm.realtime.consumer import realtime  # noqa: E402
from castcomm.realtime.lifespan import lifespan  # noqa: E402

application = ProtocolTypeRouter({"websocket": realtime, "lifespan": lifespan})
store = redis.Redis.from_url(settings.REDIS_URL)


@auth.register_token_authenticator
def read_token(token: str, hint: str | None) -> auth.Identity | None:
    if token == "broken":
        raise RuntimeError("the authenticator is broken")
    user, slash, organization = token.partition("/")
    if not slash:
        return None
    return auth.Identity(UUID(user), UUID(organization), f"token:{token}")


def _may_hear(user_id: UUID, organization_id: UUID, key: str) -> bool:
    return not key.startswith("closed")


def _missed(user_id: UUID, organization_id: UUID, key: str, since_seq: int | None) -> topics.Replay:
    name = f"{settings.REDIS_PREFIX}:log:{key}"
    if key.startswith("broken"):
        raise RuntimeError("the table is gone")
    entries = [orjson.loads(entry) for entry in store.lrange(name, 0, -1)]
    if key.startswith("slow"):
        time.sleep(0.2)
    head = len(entries)
    if since_seq is None:
        return topics.Replay(head=head)
    if head - since_seq > 300:
        return topics.Replay(head=head, recovered=False)
    return topics.Replay(events=entries[since_seq:], head=head)


topics.register_kind(
    "user",
    topics.TopicKind(
        authorize=lambda user_id, organization_id, key: key == f"{organization_id}:{user_id}",
        replay=lambda user_id, organization_id, key, since_seq: topics.Replay(),
    ),
)
topics.register_kind("room", topics.TopicKind(authorize=_may_hear, replay=_missed))


def _head(user_id: UUID, organization_id: UUID) -> dict[str, Any]:
    try:
        return {"inbox_seq": int(store.get(f"{settings.REDIS_PREFIX}:head:{user_id}") or 0)}
    except redis.ConnectionError:
        # The apps keep this in the database, which is there when Redis is not.
        return {"inbox_seq": 0}


sessions.register_greeting("inbox", _head)
sessions.register_heads(_head)


@protocol.on("test:echo")
async def echo(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    return data


@protocol.on("test:whoami")
async def whoami(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    thread = await connection.call(_thread_name)
    return {"user": connection.user_id, "organization": connection.organization_id, "thread": thread}


@protocol.on("test:stats")
async def tell_stats(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    return {**stats.snapshot(), "writer": type(connection.writer).__name__}


@protocol.on("test:slow")
async def take_a_while(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    await asyncio.sleep(data["seconds"])
    return {"done": True}


@protocol.on("test:refuse")
async def refuse(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    raise InvalidInput("content is too long.", attr="content", code="max_length")


@protocol.on("test:crash")
async def crash(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    raise RuntimeError("a bug")


def _thread_name() -> str:
    return threading.current_thread().name

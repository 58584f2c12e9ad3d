"""CastComm's sockets with two events: an ack without work, and a broadcast to a room."""

from __future__ import annotations

import os
from typing import Any
from uuid import UUID

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "realtime_peers.hub_settings"
django.setup()

from channels.routing import ProtocolTypeRouter  # noqa: E402

from castcomm.realtime import auth, hub, protocol, topics  # noqa: E402
from castcomm.realtime.connection import Connection  # noqa: E402
from castcomm.realtime.consumer import realtime  # noqa: E402
from castcomm.realtime.lifespan import lifespan  # noqa: E402

application = ProtocolTypeRouter({"websocket": realtime, "lifespan": lifespan})

PERSON = UUID(int=1)
ORGANIZATION = UUID(int=2)


@auth.register_token_authenticator
def know_everyone(token: str, hint: str | None) -> auth.Identity:
    return auth.Identity(PERSON, ORGANIZATION)


topics.register_kind(
    "bench",
    topics.TopicKind(
        authorize=lambda user_id, organization_id, key: True,
        replay=lambda user_id, organization_id, key, since_seq: topics.Replay(),
    ),
)


@protocol.on("bench:ack")
async def acknowledge(connection: Connection, data: dict[str, Any]) -> dict[str, Any]:
    return {"ok": True}


@protocol.on("bench:broadcast")
async def broadcast(connection: Connection, data: dict[str, Any]) -> None:
    hub.publish("bench:room", {"event": "bench:message", "data": data})

"""The same two events as a plain Channels consumer with groups on the channels-redis pubsub layer."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings

settings.configure(
    SECRET_KEY="benchmark",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [os.environ["REDIS_URL"]]},
        }
    },
)

import django  # noqa: E402

django.setup()

from channels.generic.websocket import AsyncJsonWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter  # noqa: E402


class Room(AsyncJsonWebsocketConsumer):
    """Every socket is in the room."""

    groups = ["room"]

    async def receive_json(self, content: dict[str, Any], **kwargs: Any) -> None:
        if content["event"] == "bench:ack":
            await self.send_json({"ack": content["id"], "event": "bench:ack", "data": {"ok": True}})
        else:
            await self.channel_layer.group_send("room", {"type": "room.message", "data": content["data"]})

    async def room_message(self, event: dict[str, Any]) -> None:
        await self.send_json({"event": "bench:message", "data": event["data"]})


application = ProtocolTypeRouter({"websocket": Room.as_asgi()})

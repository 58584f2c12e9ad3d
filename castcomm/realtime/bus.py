"""The two connections of one event loop to Redis, one that listens and one that publishes, kept alive."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Protocol

import hiredis

from .publisher import Message
from .redis_link import RedisLink, Reply, open_link
from .stats import counters, gauges

logger = logging.getLogger(__name__)

HEARTBEAT = 3.0  # seconds between looks at the links; a link that is silent for two of them is cut
FIRST_BACKOFF, MAX_BACKOFF = 0.05, 2.0  # seconds
CHANNELS_PER_COMMAND = 500


class Listener(Protocol):
    """Whom a bus serves."""

    def channels(self) -> list[bytes]:
        """The channels that must be subscribed after a new connection."""
        ...

    def on_message(self, channel: bytes, payload: bytes) -> None:
        """A message came."""
        ...

    def on_live(self, channel: bytes) -> None:
        """Redis has confirmed the latest subscription to a channel."""
        ...

    def on_connection_lost(self) -> None:
        """No channel is subscribed any more."""
        ...

    def on_gap(self) -> None:
        """All channels are subscribed again after a time in which messages were lost."""
        ...


class RedisBus:
    """Belongs to one event loop. ``after_loss`` is published first when messages of ours were lost before."""

    def __init__(self, url: str, listener: Listener, after_loss: Message) -> None:
        self._url = url
        self._listener = listener
        self._after_loss = after_loss
        self._loop = asyncio.get_running_loop()
        self._subscriber: RedisLink | None = None
        self._publisher: RedisLink | None = None
        self._unconfirmed: dict[bytes, int] = {}
        self._link_lost = asyncio.Event()
        self._gap = False
        self._unpublished = False
        # Redis could not be reached at the last try; a mere loss of the connection is usually mended at once.
        self.away = False

    def subscribe(self, channels: Sequence[bytes]) -> None:
        """Ask for channels; without a connection they are asked for when there is one."""
        if self._subscriber is None:
            return
        for channel in channels:
            self._unconfirmed[channel] = self._unconfirmed.get(channel, 0) + 1
        self._subscriber.send("SUBSCRIBE", *channels)

    def unsubscribe(self, channel: bytes) -> None:
        """End a subscription."""
        if self._subscriber is not None:
            self._subscriber.send("UNSUBSCRIBE", channel)

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish without waiting; what cannot be sent is lost and counted."""
        link = self._publisher
        for channel, payload in messages:
            if link is not None and link.send("PUBLISH", channel, payload):
                counters.published += 1
            else:
                counters.publish_failed += 1
                self._unpublished = True

    async def run(self) -> None:
        """Connect, and again whenever the connection is lost, until cancelled."""
        delay = FIRST_BACKOFF
        try:
            while True:
                try:
                    await self._connect()
                except (OSError, TimeoutError) as error:
                    self._gap = self.away = True
                    logger.warning("Redis is away, realtime frames wait: %s", error or type(error).__name__)
                else:
                    delay = FIRST_BACKOFF
                    await self._watch()
                    logger.warning("The connection to Redis was lost")
                self._disconnect()
                await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311
                delay = min(delay * 2, MAX_BACKOFF)
        finally:
            self._disconnect()

    async def _connect(self) -> None:
        self._link_lost.clear()
        self._publisher = await self._open(self._on_published)
        self._subscriber = await self._open(self._on_reply)
        self.away = False
        counters.redis_connects += 1
        gauges.redis_connected = True
        if self._unpublished:
            self._unpublished = False
            self.publish([self._after_loss])
        channels = self._listener.channels()
        for start in range(0, len(channels), CHANNELS_PER_COMMAND):
            self.subscribe(channels[start : start + CHANNELS_PER_COMMAND])

    async def _open(self, on_reply: Callable[[Reply], None]) -> RedisLink:
        return await open_link(self._url, on_reply, self._link_lost.set)

    async def _watch(self) -> None:
        """Return when a link is lost, or silent although it was asked for a sign of life."""
        while not self._link_lost.is_set():
            links = [link for link in (self._publisher, self._subscriber) if link is not None]
            for link in links:
                link.send("PING")
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await self._link_lost.wait()
            except TimeoutError:
                if any(self._loop.time() - link.last_heard > 2 * HEARTBEAT for link in links):
                    return

    def _disconnect(self) -> None:
        gauges.redis_connected = False
        for link in (self._publisher, self._subscriber):
            if link is not None:
                link.abort()
        if self._subscriber is not None:
            self._gap = True
        self._publisher = self._subscriber = None
        self._unconfirmed.clear()
        self._listener.on_connection_lost()

    def _on_reply(self, reply: Reply) -> None:
        if not isinstance(reply, list):
            logger.error("Redis answered a subscription with %r", reply)
        elif reply[0] == b"message":
            self._listener.on_message(reply[1], reply[2])
        elif reply[0] == b"subscribe":
            self._on_subscribed(reply[1])

    def _on_subscribed(self, channel: bytes) -> None:
        # A channel that was left and asked for again in a hurry is confirmed twice; only the last one counts.
        left = self._unconfirmed.pop(channel, 1) - 1
        if left:
            self._unconfirmed[channel] = left
            return
        self._listener.on_live(channel)
        if not self._unconfirmed and self._gap:
            self._gap = False
            self._listener.on_gap()

    def _on_published(self, reply: Reply) -> None:
        if isinstance(reply, hiredis.ReplyError):
            counters.publish_failed += 1
            self._unpublished = True
            logger.warning("Redis refused to publish: %s", reply)

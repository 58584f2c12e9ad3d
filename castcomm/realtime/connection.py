"""One socket, as handlers see it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import orjson

from castcomm.common.errors import InvalidInput

from . import close_codes
from .auth import Identity
from .calls import call_sync
from .conf import MAX_TOPICS, QUEUE_FRAMES, limits
from .frames import Frame, to_json
from .hub import Hub
from .rate import RateLimit
from .topics import REVOKE_EVENT, UNSUBSCRIBE_EVENT, control_topic, user_topic
from .writer import AsgiSend, open_writer

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_INBOX_FAMILIES = {"notification", "inbox", "preferences"}


class Hold:
    """Keeps the frames of a topic back while its past is read from the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._frames: list[Frame] = []

    def take(self, frame: Frame) -> None:
        """Keep what is durable; an ephemeral frame would be stale by then."""
        self._frames.extend(part for part in frame.parts or (frame,) if not part.ephemeral)
        if len(self._frames) > QUEUE_FRAMES:
            self._frames.clear()
            self._connection.close_soon(close_codes.TOO_SLOW, "too many frames at once")

    def release(self, topic: str, deliver: Callable[[Frame], None], head: int) -> None:
        """Deliver what came meanwhile and is newer than ``head``, and from now on everything."""
        # What waits for a burst may be part of the past that was read.
        self._connection.hub.flush(topic)
        for frame in self._frames:
            if not 0 < frame.seq <= head:
                deliver(frame)
        self._connection.redirect(topic, deliver)


class Connection:
    """An open socket of one person in one organization.

    ``user_id``, ``organization_id`` and ``identity`` are there once it is signed in. ``session`` is a dict
    that handlers may use for what concerns this socket only. ``heads`` is what the client was last told.
    """

    __slots__ = (
        "__weakref__",
        "busy",
        "closing",
        "deliver",
        "heads",
        "hub",
        "identity",
        "inbox",
        "last_check",
        "last_heard",
        "organization_id",
        "protocol_errors",
        "rate",
        "refusals",
        "session",
        "task",
        "topics",
        "user_id",
        "writer",
    )

    user_id: UUID
    organization_id: UUID
    identity: Identity

    def __init__(self, hub: Hub, send: AsgiSend, *, inbox: bool) -> None:
        self.hub = hub
        self.inbox = inbox
        self.session: dict[str, Any] = {}
        self.heads: dict[str, Any] = {}
        self.topics: set[str] = set()
        self.busy = False
        self.closing = False
        self.protocol_errors = 0
        self.refusals = 0
        self.rate = RateLimit(limits().rate_per_minute)
        self.last_heard = self.last_check = hub.loop.time()
        self.task = asyncio.current_task()
        self.writer = open_writer(send, self._too_slow)
        self.deliver: Callable[[Frame], None] = self._deliver_inbox if inbox else self.writer.push

    async def call(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a synchronous function (the database) in a thread; returns or raises what it does."""
        return await call_sync(func, *args, **kwargs)

    async def send(self, frame: dict[str, Any]) -> None:
        """Send a frame to this socket only. Does not wait for a slow peer."""
        self.writer.push(Frame(to_json(frame), event=str(frame.get("event", ""))))

    async def subscribe(self, topic: str) -> None:
        """Let this socket hear ``topic`` from now on. The caller has made sure that it may.

        Raises InvalidInput when the socket has too many topics.
        """
        await self.listen(topic, self.deliver)

    async def unsubscribe(self, topic: str) -> None:
        """Stop hearing ``topic``."""
        self.topics.discard(topic)
        self.hub.unsubscribe(topic, self)

    async def listen(self, topic: str, deliver: Callable[[Frame], None]) -> None:
        """``subscribe`` with the frames going to ``deliver``."""
        if topic not in self.topics and len(self.topics) >= MAX_TOPICS:
            raise InvalidInput(
                f"A socket may have {MAX_TOPICS} topics.", attr="topic", code="too_many_topics"
            )
        self.topics.add(topic)
        await self.hub.subscribe(topic, self, deliver)

    def redirect(self, topic: str, deliver: Callable[[Frame], None]) -> None:
        """Let the frames of a topic that is subscribed go to ``deliver``."""
        if topic in self.topics:
            self.hub.redirect(topic, self, deliver)

    async def sign_in(self, identity: Identity) -> Hold:
        """Take on an identity and listen to its own topics; the hold is released after the greeting."""
        self.identity = identity
        self.user_id = identity.user_id
        self.organization_id = identity.organization_id
        self.hub.signed_in(self)
        hold = Hold(self)
        await asyncio.gather(
            self.listen(control_topic(self.user_id), self._on_control),
            self.listen(self.own_topic, hold.take),
        )
        return hold

    @property
    def is_signed_in(self) -> bool:
        """Whether the socket knows its person."""
        return hasattr(self, "identity")

    @property
    def own_topic(self) -> str:
        """The topic on which this person's own news arrive."""
        return user_topic(self.user_id, self.organization_id)

    async def close(self, code: int, reason: str = "") -> None:
        """Close with a code; frames that are queued go first, if the peer takes them in time."""
        if self.closing:
            return
        self.closing = True
        if not await self.writer.close(code, reason) and self.task is not None:
            # Not every server ends the conversation of a peer that does not read.
            self.task.cancel()

    def close_soon(self, code: int, reason: str = "") -> None:
        """``close`` from a place that cannot wait."""
        if not self.closing:
            self.hub.spawn(self.close(code, reason))

    def leave(self) -> None:
        """The conversation is over: forget the socket."""
        self.closing = True
        self.writer.release()
        for topic in self.topics:
            self.hub.unsubscribe(topic, self)
        self.topics.clear()
        self.hub.leave(self)

    def _too_slow(self) -> None:
        self.close_soon(close_codes.TOO_SLOW, "too slow")

    def _deliver_inbox(self, frame: Frame) -> None:
        for part in frame.parts or (frame,):
            if part.event.partition(":")[0] in _INBOX_FAMILIES:
                self.writer.push(part)

    def _on_control(self, frame: Frame) -> None:
        for part in frame.parts or (frame,):
            self._obey(part)

    def _obey(self, frame: Frame) -> None:
        order = orjson.loads(frame.text)
        if frame.event == REVOKE_EVENT:
            if order.get("credential") in (None, self.identity.credential):
                self.close_soon(close_codes.REVOKED, "revoked")
        elif frame.event == UNSUBSCRIBE_EVENT:
            self.topics.discard(order["topic"])
            self.hub.unsubscribe(order["topic"], self)

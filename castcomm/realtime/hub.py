"""The hub: one Redis subscription per topic and process, whoever listens to it in this process.

``publish`` may be called from anywhere. The rest belongs to the event loop that holds the sockets.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from redis.asyncio.connection import parse_url

from . import close_codes
from .auth import Identity, may_stay
from .bus import RedisBus
from .calls import call_sync
from .conf import limits
from .frames import Frame, decode, encode
from .publisher import BlockingPublisher, Message
from .stats import counters, gauges
from .topics import CONTROL_ALL, RESYNC_EVENT

if TYPE_CHECKING:
    from .connection import Connection

logger = logging.getLogger(__name__)

SUBSCRIBE_TIMEOUT = 2.0  # seconds to wait for Redis to confirm a subscription
# A busy topic with many listeners is delivered in bursts: one write per socket costs ten times what the hub itself
# does, and a pause of a few milliseconds lets several frames share it. A frame after a quiet moment goes at once.
CROWD = 8  # listeners
PAUSE_PER_LISTENER = 0.00001  # seconds, about two writes
MAX_PAUSE = 0.005  # seconds
RECHECK_BATCH = 20  # sockets looked at in one go, so that a handler's query never waits long for a thread
RESYNC_DELAY = 0.2  # seconds in which several reasons for a resync become one

Deliver = Callable[[Frame], None]


class Topic:
    """Who listens here to one topic. ``live`` once Redis has confirmed the subscription."""

    __slots__ = ("deliveries", "live", "next_delivery", "timer", "waiters", "waiting")

    def __init__(self) -> None:
        self.deliveries: dict[Hashable, Deliver] = {}
        self.live = False
        self.waiters: list[asyncio.Future[None]] = []
        self.waiting: list[Frame] = []
        self.next_delivery = 0.0
        self.timer: asyncio.TimerHandle | None = None

    def deliver(self, frame: Frame) -> None:
        """Hand a frame to every listener; one that fails does not keep it from the others."""
        for deliver in list(self.deliveries.values()):
            try:
                deliver(frame)
            except Exception:
                logger.exception("A listener could not take a frame")

    def confirm(self) -> None:
        self.live = True
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.waiters.clear()


class Hub:
    """All sockets of one event loop and the topics they listen to."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.connections: set[Connection] = set()
        self.draining = False
        self._thread = threading.get_ident()
        self._pid = os.getpid()
        self._prefix = channel_prefix()
        self._topics: dict[bytes, Topic] = {}
        self._bus = RedisBus(settings.REDIS_URL, self, _resync_message(self._prefix))
        self._resync_timer: asyncio.TimerHandle | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._users: Counter[UUID] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Connect to Redis, now and whenever the connection is lost."""
        if self._supervisor is None:
            self._topics[self._prefix + CONTROL_ALL.encode()] = everyone = Topic()
            everyone.deliveries[self] = self._on_control
            self._supervisor = self.loop.create_task(self._bus.run(), name="realtime-hub")
            self.spawn(self._sweep())
            self.spawn(self._recheck())

    async def stop(self) -> None:
        """Let go of Redis. Publishing goes on through the blocking client."""
        _process.forget(self)
        if self._resync_timer is not None:
            self._resync_timer.cancel()
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
            self._supervisor = None
        for task in list(self._tasks):
            task.cancel()

    @property
    def is_running(self) -> bool:
        """Whether this process runs the loop; a forked child only has a copy of it."""
        return self.loop.is_running() and self._pid == os.getpid()

    async def subscribe(self, topic: str, listener: Hashable, deliver: Deliver) -> bool:
        """Call ``deliver`` with every frame of ``topic`` from now on.

        Returns once Redis has confirmed, so that what the database does not show yet will be delivered. False
        when Redis is away: the subscription stands and starts when Redis is back, followed by a resync.
        A listener that is there already gets its ``deliver`` replaced.
        """
        channel = self._prefix + topic.encode()
        entry = self._topics.get(channel)
        if entry is None:
            entry = self._topics[channel] = Topic()
            gauges.topics = len(self._topics)
            self._bus.subscribe([channel])
        entry.deliveries[listener] = deliver
        if entry.live or self._bus.away:
            return entry.live
        waiter: asyncio.Future[None] = self.loop.create_future()
        entry.waiters.append(waiter)
        try:
            async with asyncio.timeout(SUBSCRIBE_TIMEOUT):
                await waiter
        except TimeoutError:
            return False
        return True

    def redirect(self, topic: str, listener: Hashable, deliver: Deliver) -> None:
        """Replace the ``deliver`` of a listener that is there."""
        entry = self._topics.get(self._prefix + topic.encode())
        if entry is not None and listener in entry.deliveries:
            entry.deliveries[listener] = deliver

    def flush(self, topic: str) -> None:
        """Deliver now what waits for the next burst of a busy topic."""
        entry = self._topics.get(self._prefix + topic.encode())
        if entry is not None and entry.waiting:
            self._deliver_waiting(entry)

    def unsubscribe(self, topic: str, listener: Hashable) -> None:
        """Stop delivering to ``listener``; the last one ends the Redis subscription."""
        channel = self._prefix + topic.encode()
        entry = self._topics.get(channel)
        if entry is None:
            return
        entry.deliveries.pop(listener, None)
        if not entry.deliveries:
            del self._topics[channel]
            gauges.topics = len(self._topics)
            self._bus.unsubscribe(channel)

    def enter(self, connection: Connection) -> None:
        """A socket was accepted."""
        self.connections.add(connection)
        gauges.connections = len(self.connections)

    def signed_in(self, connection: Connection) -> None:
        """A socket knows its person."""
        self._users[connection.user_id] += 1
        gauges.users = len(self._users)

    def leave(self, connection: Connection) -> None:
        """A socket is gone."""
        self.connections.discard(connection)
        gauges.connections = len(self.connections)
        user_id = getattr(connection, "user_id", None)
        if user_id is not None:
            self._users[user_id] -= 1
            if not self._users[user_id]:
                del self._users[user_id]
            gauges.users = len(self._users)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` as a task that is not forgotten by the garbage collector."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def publish_soon(self, messages: list[Message]) -> None:
        """Publish from any thread without waiting for Redis."""
        if threading.get_ident() == self._thread:
            self._bus.publish(messages)
        else:
            self.loop.call_soon_threadsafe(self._bus.publish, messages)

    def channels(self) -> list[bytes]:
        """The Redis channels that are listened to."""
        return list(self._topics)

    def on_message(self, channel: bytes, payload: bytes) -> None:
        """Hand a message to everyone who listens here. This is the hot path."""
        entry = self._topics.get(channel)
        if entry is None:
            return
        try:
            frame = decode(payload)
        except ValueError:
            logger.error("Redis delivered something that is not a frame: %r", payload[:80])
            return
        if len(entry.deliveries) < CROWD:
            entry.deliver(frame)
            return
        entry.waiting.append(frame)
        if entry.timer is None:
            pause = entry.next_delivery - self.loop.time()
            if pause > 0:
                entry.timer = self.loop.call_later(pause, self._deliver_waiting, entry)
            else:
                self._deliver_waiting(entry)

    def _deliver_waiting(self, entry: Topic) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        frames, entry.waiting = entry.waiting, []
        if frames:
            entry.deliver(frames[0] if len(frames) == 1 else Frame.join(frames))
        entry.next_delivery = self.loop.time() + min(MAX_PAUSE, PAUSE_PER_LISTENER * len(entry.deliveries))

    def on_live(self, channel: bytes) -> None:
        """Redis has confirmed a subscription."""
        entry = self._topics.get(channel)
        if entry is not None:
            entry.confirm()

    def on_connection_lost(self) -> None:
        """No topic is live until Redis is back."""
        for entry in self._topics.values():
            entry.live = False

    def on_gap(self) -> None:
        """Frames were lost: tell every socket, once for several reasons in a short time."""
        if self._resync_timer is None:
            self._resync_timer = self.loop.call_later(RESYNC_DELAY, self._resync)

    def _on_control(self, frame: Frame) -> None:
        if frame.event == RESYNC_EVENT:
            self.on_gap()

    def _resync(self) -> None:
        """Tell every socket that frames may be missing; it asks for what it lacks, not all at once."""
        self._resync_timer = None
        counters.resyncs += 1
        within_ms = min(30_000, 2 * len(self.connections))
        frame = Frame(b'{"event":"resync","data":{"within_ms":%d}}' % within_ms, event="resync")
        for connection in list(self.connections):
            # Past the filter of the inbox sockets: this is for every socket.
            connection.writer.push(frame)

    async def _sweep(self) -> None:
        """Close sockets that have been silent for too long."""
        patience = limits().silence_seconds
        while True:
            await asyncio.sleep(patience / 5)
            oldest = self.loop.time() - patience
            for connection in list(self.connections):
                if connection.last_heard < oldest:
                    connection.close_soon(close_codes.TOO_SLOW, "no heartbeat")

    async def _recheck(self) -> None:
        """Put out whose session or membership has ended; whether they say anything does not matter.

        ``sessions.revoke`` does it at once; this is for what it missed. One thread at a time works on it.
        """
        patience = limits().recheck_seconds
        while True:
            await asyncio.sleep(patience / 4)
            oldest = self.loop.time() - patience
            due = [one for one in self.connections if one.last_check < oldest and one.is_signed_in]
            for start in range(0, len(due), RECHECK_BATCH):
                batch = due[start : start + RECHECK_BATCH]
                try:
                    stays = await call_sync(_who_may_stay, [connection.identity for connection in batch])
                except Exception:
                    # The database may be away; the sockets stay and are looked at again.
                    logger.exception("Sockets could not be checked")
                    break
                self._keep(batch, stays)

    def _keep(self, connections: list[Connection], stays: list[bool]) -> None:
        for connection, may in zip(connections, stays, strict=True):
            connection.last_check = self.loop.time()
            if not may:
                connection.close_soon(close_codes.REVOKED, "revoked")


def _who_may_stay(identities: list[Identity]) -> list[bool]:
    return [may_stay(identity) for identity in identities]


class _Process:
    """What this process has: a hub per event loop, and a blocking publisher for where there is none."""

    def __init__(self) -> None:
        self.hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = weakref.WeakKeyDictionary()
        self.newest: Hub | None = None
        self._lock = threading.Lock()
        self._publisher: tuple[int, BlockingPublisher] | None = None

    def forget(self, hub: Hub) -> None:
        """Do not publish through ``hub`` any more."""
        self.hubs.pop(hub.loop, None)
        if self.newest is hub:
            self.newest = next((other for other in self.hubs.values() if other.is_running), None)

    def publisher(self) -> BlockingPublisher:
        """The blocking publisher; a forked worker gets its own."""
        pid = os.getpid()
        with self._lock:
            if self._publisher is None or self._publisher[0] != pid:
                self._publisher = (pid, BlockingPublisher(_resync_message(channel_prefix())))
            return self._publisher[1]


_process = _Process()


def running_hub() -> Hub:
    """The hub of the running event loop; made and started at the first call."""
    loop = asyncio.get_running_loop()
    hub = _process.hubs.get(loop)
    if hub is None:
        hub = _process.hubs[loop] = _process.newest = Hub()
        hub.start()
    return hub


def existing_hub() -> Hub | None:
    """The hub of the running event loop, if a socket has made it."""
    return _process.hubs.get(asyncio.get_running_loop())


def publish(topic: str, frame: Mapping[str, Any], *, ephemeral: bool = False) -> None:
    """Send ``frame`` to every socket that listens to ``topic``, in any process. Returns at once.

    ``frame`` has ``event`` and, where it is durable, ``seq``; ephemeral frames may be dropped on the way.
    Raises ValueError or TypeError for a frame that cannot be sent; trouble with Redis is logged and
    counted, never raised. Inside a transaction use ``publish_on_commit``.
    """
    _send([(channel_of(topic), encode(frame, ephemeral=ephemeral))])


def publish_many(frames: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """``publish`` for several (topic, frame) pairs, in order, in one round trip."""
    messages = [(channel_of(topic), encode(frame)) for topic, frame in frames]
    if messages:
        _send(messages)


def publish_on_commit(topic: str, frame: Mapping[str, Any], *, ephemeral: bool = False) -> None:
    """``publish`` when the transaction commits, as the frame is now; at once when there is none."""
    message = (channel_of(topic), encode(frame, ephemeral=ephemeral))
    transaction.on_commit(lambda: _send([message]))


def channel_prefix() -> bytes:
    """What our Redis channels start with; Redis does not separate channels by database."""
    return _prefix_of(settings.REDIS_URL, settings.REDIS_PREFIX)


@cache
def _prefix_of(url: str, prefix: str) -> bytes:
    return f"{prefix}:{parse_url(url).get('db', 0)}:topic:".encode()


def channel_of(topic: str) -> bytes:
    """The Redis channel of a topic."""
    return channel_prefix() + topic.encode()


def _resync_message(prefix: bytes) -> Message:
    return prefix + CONTROL_ALL.encode(), encode({"event": RESYNC_EVENT})


def _send(messages: list[Message]) -> None:
    hub = _process.newest
    if hub is not None and hub.is_running:
        hub.publish_soon(messages)
    else:
        _process.publisher().send(messages)

"""The doorbell: tells workers that something is due. Losing a ring loses time, never a message.

Rings are deduplicated in Redis: while one waits to be heard, more would say nothing new. If Redis is away or
frozen the bell stays silent for a moment and the sweep, which looks into PostgreSQL, finds what is due.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import redis
import structlog
from django.conf import settings
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

from castcomm.celery import app
from notifications.vocabulary import Priority

log = structlog.get_logger(__name__)

RING_LASTS = 5_000  # milliseconds; then it is rung again, should the first have been lost
# Seconds for which a process trusts what it has just seen: that the bell is rung or held. A stream of sends then asks
# Redis once in a while. Whoever lets the bell go looks again after twice that time (see ``attending``).
TRUST = 0.025
WEBHOOKS = "webhooks"  # the bell of the webhooks' outbox
SILENCE = 2.0  # seconds without trying after Redis failed
_silent_until = 0.0
_seen_at: dict[str, float] = {}


@functools.cache
def client() -> redis.Redis:
    """This process's connection pool to Redis, with time-outs so that a frozen server holds no thread."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_SOCKET_TIMEOUT,
        socket_connect_timeout=settings.REDIS_SOCKET_TIMEOUT,
        # The client's own default tries four times with growing pauses, which a caller would have to wait for.
        # A kept connection may have been closed since; that is worth one more try, a time-out is not.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )


def ring(channel: str, priority: int) -> None:
    """Ask a worker to drain ``channel`` at ``priority``; never raises for a missing Redis."""
    queue = Priority(priority).key
    _ring(f"{channel}:{queue}", "notifications.tasks.drain", (channel, priority), queue)


def ring_fanout() -> None:
    """Ask a worker to turn chunks of large audiences into notifications."""
    _ring("fanout", "notifications.tasks.run_fanout", (), "normal")


def ring_webhooks() -> None:
    """Ask a worker to tell customers' endpoints what is due."""
    _ring(WEBHOOKS, "notifications.tasks.drain_webhooks", (), "low")


def wake_another(channel: str, priority: int) -> None:
    """Ask one more worker to help with ``channel`` at ``priority``, although one is awake already."""
    queue = Priority(priority).key
    _ring(f"more:{channel}:{queue}", "notifications.tasks.drain", (channel, priority), queue)


def hold(name: str) -> None:
    """A worker is awake and looks by itself: for the next seconds nobody needs to ring."""
    _tell(lambda: client().set(_key(name), b"1", px=RING_LASTS))


def heard(name: str) -> None:
    """The worker is about to look for the last time: a ring from now on is news again."""
    _seen_at.pop(name, None)
    _tell(lambda: client().delete(_key(name), _key(f"more:{name}")))


def _tell(command: Callable[[], object]) -> None:
    if time.monotonic() < _silent_until:
        return
    try:
        command()
    except redis.RedisError as error:
        _fall_silent(error)


def _key(name: str) -> str:
    return f"{settings.REDIS_PREFIX}:bell:{name}"


def _ring(name: str, task: str, arguments: tuple[object, ...], queue: str) -> None:
    now = time.monotonic()
    if now < _silent_until or now - _seen_at.get(name, -1.0) < TRUST:
        return
    try:
        if client().set(_key(name), b"1", nx=True, px=RING_LASTS):
            app.send_task(task, args=arguments, queue=queue, retry=False)
        _seen_at[name] = now
    except (redis.RedisError, OperationalError) as error:
        _fall_silent(error)


def _fall_silent(error: Exception) -> None:
    global _silent_until  # noqa: PLW0603
    _silent_until = time.monotonic() + SILENCE
    log.warning("doorbell.redis_away", error=str(error))

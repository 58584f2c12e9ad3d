"""Publishing from threads and worker processes that have no event loop of the hub."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from .stats import counters

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0
Message = tuple[bytes, bytes]


class BlockingPublisher:
    """Sends messages to Redis and never raises when Redis is away.

    A call takes at most two socket time-outs. After a time-out nothing is tried for PAUSE_SECONDS, so that a
    frozen Redis cannot hold one thread after the other. What was not sent is counted; the first message
    that gets through afterwards is preceded by ``after_loss``, which tells every socket to look for itself.
    """

    def __init__(self, after_loss: Message) -> None:
        self._client = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=settings.REDIS_SOCKET_TIMEOUT,
            socket_connect_timeout=settings.REDIS_SOCKET_TIMEOUT,
            # A kept connection may have been closed since; that is worth one more try, a time-out is not.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        )
        self._after_loss = after_loss
        self._lock = threading.Lock()
        self._paused_until = 0.0
        self._lost = False

    def send(self, messages: Sequence[Message]) -> bool:
        """Publish (channel, payload) pairs in order; False when they were not sent."""
        if time.monotonic() < self._paused_until:
            self._count_loss(len(messages))
            return False
        with self._lock:
            lost, self._lost = self._lost, False
        batch = [self._after_loss, *messages] if lost else messages
        try:
            if len(batch) == 1:
                self._client.publish(*batch[0])
            else:
                with self._client.pipeline(transaction=False) as pipeline:
                    for channel, payload in batch:
                        pipeline.publish(channel, payload)
                    pipeline.execute()
        except redis.TimeoutError as error:
            self._paused_until = time.monotonic() + PAUSE_SECONDS
            self._fail(len(messages), error)
            return False
        except redis.RedisError as error:
            self._fail(len(messages), error)
            return False
        counters.published += len(messages)
        return True

    def _fail(self, count: int, error: Exception) -> None:
        logger.warning("Realtime frames were not published, Redis is away: %s", error)
        self._count_loss(count)

    def _count_loss(self, count: int) -> None:
        with self._lock:
            self._lost = True
            counters.publish_failed += count

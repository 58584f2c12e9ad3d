"""The doorbell: asks a worker to look for due steps. Losing a ring costs a second, never a step."""

from __future__ import annotations

import functools

import redis
import structlog
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from castcomm.celery import app

log = structlog.get_logger(__name__)

QUEUE = "workflows"
TICK = "workflows.tasks.tick"
CALLS = "workflows.tasks.make_calls"
CALLS_QUEUE = "normal"
_RING_LASTS = 5_000  # milliseconds; then it is rung again, should the first have been lost


def ring_on_commit() -> None:
    """Ring once the current transaction is committed; several calls in it ring once."""
    transaction.on_commit(ring, robust=True)


def ring_calls_on_commit() -> None:
    """Ask a worker to make HTTP calls, once the current transaction is committed."""
    transaction.on_commit(ring_calls, robust=True)


def ring_calls() -> None:
    """Ask a worker to make the HTTP calls that are due; a missing Redis is only logged: Beat asks as well."""
    try:
        if _client().set(f"{_key()}:calls", b"1", nx=True, px=_RING_LASTS):
            app.send_task(CALLS, queue=CALLS_QUEUE, retry=False)
    except (redis.RedisError, OperationalError) as error:
        log.warning("doorbell.redis_away", error=str(error))


def ring() -> None:
    """Ask a worker to look now, unless one was asked and has not begun; a missing Redis is only logged."""
    try:
        if _client().set(_key(), b"1", nx=True, px=_RING_LASTS):
            app.send_task(TICK, queue=QUEUE, retry=False)
    except (redis.RedisError, OperationalError) as error:
        log.warning("doorbell.redis_away", error=str(error))


def heard() -> None:
    """A worker is about to look: a ring from now on is news again."""
    try:
        _client().delete(_key())
    except redis.RedisError as error:
        log.warning("doorbell.redis_away", error=str(error))


def calls_heard() -> None:
    """A worker is about to make calls: a ring from now on is news again."""
    try:
        _client().delete(f"{_key()}:calls")
    except redis.RedisError as error:
        log.warning("doorbell.redis_away", error=str(error))


def _key() -> str:
    return f"{settings.REDIS_PREFIX}:bell:workflows"


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_SOCKET_TIMEOUT,
        socket_connect_timeout=settings.REDIS_SOCKET_TIMEOUT,
    )

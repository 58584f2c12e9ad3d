"""The cache goes on counting when Redis is away, and comes back to it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings

from castcomm.common import cache as module
from castcomm.common.cache import FallbackRedisCache


@pytest.fixture(autouse=True)
def _reachable_again() -> Iterator[None]:
    FallbackRedisCache._away_until = 0.0
    yield
    FallbackRedisCache._away_until = 0.0


def cache_at(server: str) -> FallbackRedisCache:
    options = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2}
    cache = FallbackRedisCache(server, {"KEY_PREFIX": f"{settings.REDIS_PREFIX}:t", "OPTIONS": options})
    cache._local.clear()
    return cache


def test_it_keeps_values_in_redis() -> None:
    one, two = cache_at(settings.REDIS_URL), cache_at(settings.REDIS_URL)
    one.set("a", {"n": 1}, timeout=60)
    assert two.get("a") == {"n": 1}
    assert one.incr("counter") if one.add("counter", 0) else False
    assert two.get("counter") == 1
    assert two.get_many(["a", "counter"]) == {"a": {"n": 1}, "counter": 1}


def test_emptying_it_leaves_alone_what_else_is_in_redis() -> None:
    cache, client = cache_at(settings.REDIS_URL), redis.Redis.from_url(settings.REDIS_URL)
    another = FallbackRedisCache(settings.REDIS_URL, {"KEY_PREFIX": f"{settings.REDIS_PREFIX}:other"})
    cache.set_many({"a": 1, "b": 2})
    another.set("a", 3)
    client.set(f"{settings.REDIS_PREFIX}:queue", "kept")
    cache.clear()
    assert cache.get_many(["a", "b"]) == {}
    assert (another.get("a"), client.get(f"{settings.REDIS_PREFIX}:queue")) == (3, b"kept")
    client.close()


def test_nothing_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        cache = cache_at(f"redis://127.0.0.1:{unused.getsockname()[1]}/0")
    assert cache.add("attempts", 1, timeout=60)
    assert not cache.add("attempts", 1, timeout=60)
    assert cache.incr("attempts") == 2
    assert cache.get("attempts") == 2


def test_a_frozen_redis_is_waited_for_once() -> None:
    with socket.socket() as frozen:
        frozen.bind(("127.0.0.1", 0))
        frozen.listen()
        cache = cache_at(f"redis://127.0.0.1:{frozen.getsockname()[1]}/0")
        started = time.monotonic()
        for _ in range(100):
            cache.get("x")
        assert time.monotonic() - started < 1.5


def test_redis_is_asked_again_after_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    FallbackRedisCache._away_until = time.monotonic() + 60
    cache = cache_at(settings.REDIS_URL)
    cache.set("a", "in memory")
    FallbackRedisCache._away_until = 0.0
    assert cache.get("a") is None
    assert module.PAUSE_SECONDS < 10

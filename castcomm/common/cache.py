"""Django's cache in Redis, which goes on when Redis does not.

Rate limits and other counters of the cache must neither fail a request nor hold its thread while Redis is
away. Meanwhile each process counts for itself, in its own memory, and Redis is asked again after a pause.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

import redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache

log = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0


class FallbackRedisCache(RedisCache):
    """RedisCache, and a LocMemCache of this process for as long as Redis is away."""

    # One per process, however many connections to the cache its threads make.
    _away_until = 0.0

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._local = LocMemCache(f"fallback of {server}", {"KEY_PREFIX": params.get("KEY_PREFIX", "")})

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= FallbackRedisCache._away_until:
            try:
                return getattr(super(), name)(*args, **kwargs)
            except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
                FallbackRedisCache._away_until = time.monotonic() + PAUSE_SECONDS
                log.warning("The cache in Redis is away (%s); counting in memory.", type(error).__name__)
        return getattr(self._local, name)(*args, **kwargs)

    def add(
        self, key: Any, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        return bool(self._call("add", key, value, timeout=timeout, version=version))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._call("get", key, default, version=version)

    def set(
        self, key: Any, value: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        self._call("set", key, value, timeout=timeout, version=version)

    def touch(self, key: Any, timeout: float | None = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return bool(self._call("touch", key, timeout=timeout, version=version))

    def delete(self, key: Any, version: int | None = None) -> bool:
        return bool(self._call("delete", key, version=version))

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        found: dict[Any, Any] = self._call("get_many", list(keys), version=version)
        return found

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return bool(self._call("has_key", key, version=version))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return int(self._call("incr", key, delta, version=version))

    def set_many(
        self,
        data: Mapping[Any, Any],
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[Any]:
        failed: list[Any] = self._call("set_many", data, timeout=timeout, version=version)
        return failed

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        self._call("delete_many", list(keys), version=version)

    def clear(self) -> None:
        """Empty this cache alone: RedisCache's own way is FLUSHDB, which takes the queues and all else along."""
        client = self._cache.get_client(None, write=True)
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", self.make_key("")) + "*"
        try:
            for key in client.scan_iter(pattern, count=1000):
                client.unlink(key)
        except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
            log.warning("The cache in Redis is away (%s); it was not emptied.", type(error).__name__)
        self._local.clear()

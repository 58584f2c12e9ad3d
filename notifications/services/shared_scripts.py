"""Scripts that Redis runs for all workers, by whom a Redis that is away holds nobody up.

Whoever runs one has another way when the answer is None.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import redis
import structlog
from redis.commands.core import Script

from notifications.services.doorbell import client

log = structlog.get_logger(__name__)

SILENCE = 2.0  # seconds without trying after Redis failed
_silent_until = 0.0
_outages = 0


class SharedScript:
    """A Lua script. It is atomic, reads the server's clock, and is loaded anew when Redis was flushed."""

    def __init__(self, source: str) -> None:
        self._script = Script(None, source.encode())  # type: ignore[arg-type]

    def run(self, keys: Sequence[str], arguments: Sequence[str | int | float]) -> Any:
        """The script's answer, or None while Redis is away; waits ``REDIS_SOCKET_TIMEOUT`` at most, then not at
        all for ``SILENCE`` seconds."""
        global _silent_until, _outages  # noqa: PLW0603
        if time.monotonic() < _silent_until:
            return None
        try:
            return self._script(keys=keys, args=arguments, client=client())
        except redis.RedisError as error:
            _silent_until = time.monotonic() + SILENCE
            _outages += 1
            log.warning("shared_scripts.redis_away", error=str(error))
            return None


def outages() -> int:
    """How often this process has found Redis away: what it knew of its contents may be old since."""
    return _outages

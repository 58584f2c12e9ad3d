"""The settings and limits of a socket, in one typed place."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from django.conf import settings

PROTOCOL_VERSION: Final = 1
AUTH_TIMEOUT: Final = 5.0  # seconds a fresh socket has to authenticate
MAX_FRAME_BYTES: Final = 64 * 1024  # of one client frame
QUEUE_FRAMES: Final = 256  # frames waiting for one slow socket
QUEUE_BYTES: Final = 1024 * 1024  # bytes waiting for one slow socket
CLOSE_GRACE: Final = 5.0  # seconds a peer has to take the close frame before the connection is cut
MAX_TOPICS: Final = 200  # subscriptions of one socket
MAX_PROTOCOL_ERRORS: Final = 20  # malformed frames before a socket is closed


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What a deployment may tune; ``rate_per_minute`` 0 means no limit.

    ``recheck_seconds`` is how long a socket may live on a session and a membership that were not looked at again.
    """

    heartbeat_ms: int
    silence_seconds: float
    max_connections: int
    rate_per_minute: int
    drain_seconds: float
    recheck_seconds: float
    calls: int


@cache
def limits() -> SocketLimits:
    """The limits of this process; read from the settings once."""
    heartbeat_ms: int = settings.WS_HEARTBEAT_INTERVAL
    # Background tabs are woken once a minute, so two heartbeats and a half pass before silence means absence.
    silence = max(settings.WS_CONNECTION_TIMEOUT, 2.5 * heartbeat_ms) / 1000
    return SocketLimits(
        heartbeat_ms=heartbeat_ms,
        silence_seconds=silence,
        max_connections=settings.WS_MAX_CONNECTIONS,
        rate_per_minute=settings.WS_RATE_PER_MINUTE,
        drain_seconds=getattr(settings, "WS_DRAIN_SECONDS", 5.0),
        recheck_seconds=getattr(settings, "WS_RECHECK_SECONDS", 60.0),
        calls=settings.DATABASE_POOL_SIZE or 8,
    )

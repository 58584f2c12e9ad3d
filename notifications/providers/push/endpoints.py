"""Which push services are called: a browser names its own, and a person can send us any name."""

from __future__ import annotations

import fnmatch
import functools
from urllib.parse import urlsplit

from django.conf import settings

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def refusal_of(endpoint: str) -> str:
    """Why ``endpoint`` is not called, as a sentence; "" when it may be.

    It is https at a host that ``WEBPUSH_ALLOWED_HOSTS`` names. Where ``WEBPUSH_ALLOW_LOOPBACK`` is on (development,
    tests), a push service on this machine will do as well, with http. What a name resolves to is seen to by the client
    that calls it.
    """
    return _refusal(endpoint, tuple(settings.WEBPUSH_ALLOWED_HOSTS), settings.WEBPUSH_ALLOW_LOOPBACK)


@functools.lru_cache(maxsize=10_000)
def _refusal(endpoint: str, allowed: tuple[str, ...], allow_loopback: bool) -> str:
    try:
        parts = urlsplit(endpoint)
        host, user = parts.hostname or "", "@" in parts.netloc
        odd_port = parts.port not in (None, 443)
    except ValueError:
        return "This is not an address."
    if allow_loopback and host in LOOPBACK and parts.scheme in ("http", "https"):
        return ""
    if parts.scheme != "https" or not host or user:
        return "An https address."
    if odd_port and "*" not in allowed:
        return "Push services answer on port 443."
    if not any(_fits(host, pattern.lower()) for pattern in allowed):
        return f"{host} is no known push service."
    return ""


def _fits(host: str, pattern: str) -> bool:
    """``*`` is any host, ``*.example.com`` every host below example.com."""
    return (
        fnmatch.fnmatchcase(host, pattern) if pattern == "*" or pattern.startswith("*.") else host == pattern
    )

"""Who signs wrongly too often is not listened to for a minute, whichever of the providers' addresses is called."""

from __future__ import annotations

from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.throttling import BaseThrottle

FAILURES = 60  # wrong signatures per address and minute
SECONDS = 60


def are_too_many(request: HttpRequest) -> bool:
    """Whether the caller has sent so many wrong signatures that the next one is not even looked at."""
    return int(cache.get(_sender(request), 0)) >= FAILURES


def count_wrong_signature(request: HttpRequest) -> None:
    """Remember one more of this caller's. The minute begins with the first."""
    sender = _sender(request)
    if cache.add(sender, 1, SECONDS):
        return
    try:
        if cache.incr(sender) == 1:
            # It ran out between incr's look and its counting, which then began anew, and without an end.
            cache.touch(sender, SECONDS)
    except ValueError:  # it ran out just now
        cache.add(sender, 1, SECONDS)


def _sender(request: HttpRequest) -> str:
    """Named after the caller's address, or what the one proxy in front says it is."""
    return f"webhook-refused:{BaseThrottle().get_ident(request)}"  # type: ignore[arg-type]

"""What the public pages have in common: answers that nobody keeps, and who is asking."""

from __future__ import annotations

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from castcomm.common.callers import client_address
from castcomm.common.crypto import blind_index

WINDOW = 60  # seconds


def page(
    request: HttpRequest, template: str, *, status: int = 200, retry_after: int = 0, **context: object
) -> HttpResponse:
    """A page that is not kept, not listed by search engines, and whose address is told to nobody else: it is a key."""
    response = private(render(request, template, context, status=status))
    if retry_after:
        response["Retry-After"] = str(retry_after)
    return response


def private(response: HttpResponse) -> HttpResponse:
    """``response`` with the headers of an address that is a key."""
    response["Cache-Control"] = "no-store, private"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


def not_found(request: HttpRequest) -> HttpResponse:
    """The same for a wrong, an old and a foreign token; asked again and again, it answers 429."""
    if not within_rate("unknown", client_address(request), limit=60):
        return too_many(request)
    return page(request, "public/link_not_found.html", status=404)


def too_many(request: HttpRequest) -> HttpResponse:
    return page(request, "public/too_many.html", status=429, retry_after=WINDOW)


def within_rate(kind: str, who: str, *, limit: int) -> bool:
    """Whether ``who`` may do this again within the minute. Counted under a keyed digest: no address is stored."""
    key = f"public:{kind}:{blind_index(who, kind='rate')}"
    cache.add(key, 0, timeout=WINDOW)
    try:
        return cache.incr(key) <= limit
    except ValueError:
        # The minute ended in between.
        return True

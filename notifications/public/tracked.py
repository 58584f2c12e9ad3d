"""The links and the picture of tracked mails. The answer comes first; what was seen is recorded after it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import structlog
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import iri_to_uri
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from castcomm.common.callers import client_address
from notifications.public.answers import not_found, page, private
from notifications.services.automatic_readers import Reader
from notifications.services.opens_and_clicks import record_click, record_open, url_of
from notifications.services.tracking_tokens import read_click_token, read_open_token

log = structlog.get_logger(__name__)

# One transparent pixel.
PICTURE = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


class _AndThen(HttpResponse):
    """Does something once the answer is on its way: a person who clicks does not wait for our records."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.and_then: Callable[[], None] | None = None

    def close(self) -> None:
        # Before Django gives the connection to the database back.
        todo, self.and_then = self.and_then, None
        if todo is not None:
            try:
                todo()
            except Exception:  # the person has the answer; what we missed is ours
                log.exception("tracking.not_recorded")
        super().close()


@csrf_exempt
@require_safe
def click(request: HttpRequest, token: str) -> HttpResponse:
    """To where the link leads: the address that was stored when the mail was made, and no other."""
    read = read_click_token(token)
    if read is None:
        return not_found(request)
    delivery_id, link_id = read
    try:
        url = url_of(link_id)
    except (DatabaseError, InterfaceError):
        log.warning("tracking.link_not_read", link_id=str(link_id))
        return page(request, "public/unavailable.html", status=503, retry_after=10)
    if url is None or not url.lower().startswith(("http://", "https://")):
        return not_found(request)
    response = _AndThen(status=302)
    response["Location"] = iri_to_uri(url)
    if request.method == "GET":
        reader = _reader(request)
        response.and_then = lambda: record_click(delivery_id=delivery_id, link_id=link_id, reader=reader)
    return private(response)


@csrf_exempt
@require_safe
def opened(request: HttpRequest, token: str) -> HttpResponse:
    """The picture, whatever the token is: a broken picture would be seen."""
    response = _AndThen(PICTURE, content_type="image/gif")
    delivery_id = read_open_token(token)
    if request.method == "GET" and delivery_id is not None:
        reader = _reader(request)
        response.and_then = lambda: record_open(delivery_id=delivery_id, reader=reader)
    return private(response)


def _reader(request: HttpRequest) -> Reader:
    purpose = " ".join(request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Moz"))
    return Reader(
        user_agent=request.headers.get("User-Agent", "")[:1000],
        address=client_address(request),
        is_prefetch="prefetch" in purpose.lower(),
    )

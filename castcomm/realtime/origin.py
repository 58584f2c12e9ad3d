"""Which pages may open a socket: browsers send the page's origin, and send cookies along with it."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

_LOCAL = ["localhost", ".localhost", "127.0.0.1", "[::1]"]


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The first value of a header (name in lower case), or None."""
    for key, value in headers:
        if key.lower() == name:
            return value.decode("latin-1")
    return None


def origin_allowed(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the handshake may go on.

    No ``Origin``: not a browser, nothing to protect. Else the origin is one of CORS_ORIGINS, PUBLIC_URL or
    FRONTEND_URL; or its host is in ALLOWED_HOSTS, where ``*`` vouches only for the requested host.
    """
    headers = list(headers)
    origin = header(headers, b"origin")
    if origin is None:
        return True
    listed = {*settings.CORS_ALLOWED_ORIGINS, settings.PUBLIC_URL, settings.FRONTEND_URL}
    if origin in {_origin_of(url) for url in listed}:
        return True
    try:
        parts = urlsplit(origin)
        host = parts.hostname
    except ValueError:
        return False
    if not host or parts.scheme not in ("http", "https"):
        return False
    hosts = settings.ALLOWED_HOSTS or (_LOCAL if settings.DEBUG else [])
    if ":" in host:
        host = f"[{host}]"
    if validate_host(host, [allowed for allowed in hosts if allowed != "*"]):
        return True
    return "*" in hosts and parts.netloc == header(headers, b"host")


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

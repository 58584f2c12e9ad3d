"""Addresses of the API work with and without a slash at the end; the one without is canonical."""

from __future__ import annotations

import re
from typing import Any

from django.urls import URLPattern, re_path
from rest_framework.routers import SimpleRouter

_PARAMETER = re.compile(r"<(?:(?P<kind>[a-z]+):)?(?P<name>[a-z_]+)>")
_KINDS = {
    "uuid": r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    "slug": r"[-a-zA-Z0-9_]+",
    "int": r"[0-9]+",
    "str": r"[^/]+",
}


def route(address: str, view: Any, *, name: str) -> URLPattern:
    """``route("members/<uuid:user_id>", …)`` answers at ``members/…`` and ``members/…/``."""
    pattern = _PARAMETER.sub(lambda found: f"(?P<{found['name']}>{_KINDS[found['kind'] or 'str']})", address)
    made: URLPattern = re_path(rf"^{pattern}/?$", view, name=name)
    return made


class Router(SimpleRouter):
    """DRF's router with the optional slash."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


def canonical_addresses(endpoints: list[Any], **_: Any) -> list[Any]:
    """drf-spectacular preprocessing hook: the schema shows each address once, without the slash."""
    return [(path.rstrip("/") or "/", *rest) for path, *rest in endpoints]

"""The stand-ins of another process, through their control API: what a command or a benchmark uses."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

_PATIENCE = 5.0  # seconds


class StandInAway(Exception):
    """Nothing answers at the address."""


class RemoteStandIn:
    """``url`` is the server's, ``http://127.0.0.1:PORT``. Methods are ``StandIn``'s; mistakes raise ValueError."""

    def __init__(self, url: str) -> None:
        self.address = url.rstrip("/")
        self._opener = build_opener(ProxyHandler({}))

    def url(self, provider: str) -> str:
        return str(self.state()[provider]["url"])

    def state(self) -> dict[str, dict[str, Any]]:
        """By provider: ``url, mode, retry_after, times, calls, accepted, duplicates``."""
        providers: dict[str, dict[str, Any]] = self._ask("state")["providers"]
        return providers

    def accepted(self, provider: str, *, limit: int = 1000) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask(f"accepted?provider={provider}&limit={limit}")
        return found

    def calls(self, provider: str) -> int:
        return int(self.state()[provider]["calls"])

    def break_(self, provider: str, *, mode: str, **more: Any) -> None:
        """``more``: retry_after, times, seconds, takes."""
        self._ask("break", {"provider": provider, "mode": mode} | more)

    def mend(self, provider: str | None = None) -> None:
        self._ask("mend", {"provider": provider} if provider else {})

    def forget(self, provider: str | None = None) -> None:
        self._ask("forget", {"provider": provider} if provider else {})

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.address}/_control/{path}", data=data)  # noqa: S310
        try:
            with self._opener.open(request, timeout=_PATIENCE) as response:
                return json.load(response)
        except HTTPError as error:
            raise ValueError(json.load(error).get("error", str(error))) from None
        except (URLError, OSError) as error:
            raise StandInAway(f"No stand-ins answer at {self.address}: {error}") from error
